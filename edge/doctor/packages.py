"""Whether every package that a node needs can be loaded, tried in a process of its own."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from edge.doctor.check import Check
from edge.doctor.child import probe
from edge.doctor.remedies import remedy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit

WITHIN_S = 60.0
NUMPY_FOR_TFLITE = ((1, 24), (2, 0))  # from, and before
TFLITE, LITERT = "tflite-runtime", "ai-edge-litert"


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    yield pair_check(_version(TFLITE), _version(LITERT), _version("numpy"))
    probed = probe("imports", WITHIN_S)
    bad = {name: told for name, told in probed.found.items() if "error" in told}
    visit.loadable = probed.at is None and not {"msgspec", "numpy"} & set(bad)
    for name, told in bad.items():
        text = f"{name}: {told['error']}"
        yield Check("packages", "failed", text, remedy(told["error"]))
    if probed.at is not None:
        text = f"{probed.at}: {probed.death}"
        yield Check("packages", "failed", text, remedy(probed.last_words, probed.signal))
    elif not bad:
        yield Check("packages", "ok", f"all {len(probed.found)} that a node needs can be loaded")


def pair_check(tflite: str | None, litert: str | None, numpy: str | None) -> Check:
    """H01-H05: which runtimes are installed, and whether numpy fits them."""
    runtimes = [(TFLITE, tflite), (LITERT, litert)]
    installed = [f"{name} {version}" for name, version in runtimes if version]
    if not installed:
        todo = "install earpatch anew, with Python 3.10 to 3.13: one of the two comes with it"
        return Check("runtime and numpy", "failed", "no runtime is installed", todo)
    if numpy is None:
        return Check("runtime and numpy", "failed", "no numpy", "install earpatch anew")
    found = f"{', '.join(installed)}, numpy {numpy}"
    first, before = NUMPY_FOR_TFLITE
    if tflite and not first <= _numbers(numpy) < before:
        todo = "/opt/earpatch/bin/pip install 'numpy>=1.24,<2'"
        text = f"{found}: {TFLITE} needs numpy from {first[0]}.{first[1]} on, before 2"
        return Check("runtime and numpy", "warning" if litert else "failed", text, todo)
    return Check("runtime and numpy", "ok", found)


def _numbers(version: str) -> tuple[int, int]:
    major, _, rest = version.partition(".")
    minor = rest.partition(".")[0]
    return int(major), int(minor) if minor.isdecimal() else 0


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
