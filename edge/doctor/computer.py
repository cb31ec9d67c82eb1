"""The computer itself: Python, processor, page size, C library. Nothing is loaded for it."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

from edge.doctor.check import Check, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from edge.doctor.check import Visit

PYTHONS = ((3, 10), (3, 13))  # the first and the last for which there are wheels
SMALL_PAGE_BYTES = 4_096
NUMPY_2_NEEDS = "sse4_2"
X86 = {"x86_64", "i686"}
RUNTIMES = ("tflite-runtime", "ai-edge-litert", "numpy")
_GLIBC_TAG = re.compile(r"-manylinux_(\d+)_(\d+)_")
_OLD_GLIBC_TAGS = {"manylinux2010": (2, 12), "manylinux2014": (2, 17)}
_ARMV6 = re.compile(r"ARMv6|\(v6l\)")
_INTERESTING = ("avx512f", "avx2", "avx", "sse4_2", "asimddp", "asimd", "neon", "vfpv4")


@dataclass(frozen=True)
class Computer:
    """What is known of it without loading anything."""

    python: tuple[int, int, int]
    bits: int  # of this Python
    machine: str  # as uname has it
    page_bytes: int
    glibc: tuple[int, int] | None  # None: another C library
    cpuinfo: str

    @property
    def armv6(self) -> bool:
        """Whether it is a Raspberry Pi 1 or Zero, whose cpuinfo calls the ARMv6 core "7"."""
        return self.machine.startswith("armv6") or _ARMV6.search(self.cpuinfo) is not None

    @property
    def features(self) -> set[str]:
        """What the processor can do, in the kernel's words."""
        return self._words("flags" if self.is_x86 else "Features")

    @property
    def is_x86(self) -> bool:
        """Whether Python was built for a PC's processor."""
        return self.machine in X86

    @property
    def emulated(self) -> bool:
        """Whether the kernel's processor is of another kind than Python's, as in a container."""
        return bool(self._words("Features" if self.is_x86 else "flags")) and not self.features

    def _words(self, key: str) -> set[str]:
        found = re.search(rf"^{key}\s*: (.*)$", self.cpuinfo, re.MULTILINE)
        return set(found[1].split()) if found else set()


def this_computer(root: Path) -> Computer:
    """The one this runs on; what its kernel tells is below `root`."""
    library, version = platform.libc_ver()
    numbers = version.split(".")
    return Computer(
        python=sys.version_info[:3],
        bits=64 if sys.maxsize > 2**32 else 32,
        machine=platform.machine(),
        page_bytes=os.sysconf("SC_PAGE_SIZE"),
        glibc=(int(numbers[0]), int(numbers[1])) if library == "glibc" else None,
        cpuinfo=read_text(root / "proc/cpuinfo") or "",
    )


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    computer = this_computer(visit.root)
    visit.has_interpreter = not computer.armv6
    model = read_text(visit.root / "proc/device-tree/model")
    if model:
        yield Check("computer", "ok", model)
    yield python_check(computer)
    yield processor_check(computer)
    yield page_check(computer)
    yield glibc_check(computer, list(_glibc_needs()))


def python_check(computer: Computer) -> Check:
    """H01, H02: there are no wheels for every Python on every processor."""
    first, last = PYTHONS
    name = ".".join(map(str, computer.python))
    found = f"Python {name}, {computer.bits} bit, on {computer.machine}"
    if not first <= computer.python[:2] <= last:
        todo = f"use Python {first[0]}.{first[1]} to {last[0]}.{last[1]}"
        return Check("python", "failed", f"{found}: no runtime is made for it", todo)
    if computer.machine == "aarch64" and computer.bits != 64:  # noqa: PLR2004
        todo = "install the 64-bit system; with this one the runtime is slower or missing"
        return Check("python", "warning", f"{found}: a 32-bit system on a 64-bit kernel", todo)
    return Check("python", "ok", found)


def processor_check(computer: Computer) -> Check:
    """H06, H07: what the wheels take for granted."""
    if computer.armv6:
        todo = "use a Raspberry Pi Zero 2, 3 or newer: no runtime works on ARMv6"
        return Check("processor", "failed", "ARMv6 (Raspberry Pi 1 or Zero)", todo)
    if computer.emulated:
        todo = "for the real speed, run it on a real one"
        return Check("processor", "warning", f"{computer.machine}, imitated by another kind", todo)
    features = computer.features
    told = ", ".join(name for name in _INTERESTING if name in features) or "no features told"
    if computer.machine == "x86_64" and features and NUMPY_2_NEEDS not in features:
        todo = "use a newer processor, or numpy 1.26 with tflite-runtime"
        return Check("processor", "warning", f"without SSE4.2, which numpy 2 needs ({told})", todo)
    if computer.machine.startswith("armv7") and features and "neon" not in features:
        return Check("processor", "failed", f"without NEON ({told})", "use another computer")
    return Check("processor", "ok", f"{computer.machine}: {told}")


def page_check(computer: Computer) -> Check:
    """A Raspberry Pi 5's own kernel has pages of 16 KiB; 32-bit programs aren't made for it."""
    found = f"{computer.page_bytes // 1024} KiB"
    if computer.page_bytes == SMALL_PAGE_BYTES:
        return Check("page size", "ok", found)
    if computer.bits == 64:  # noqa: PLR2004
        return Check("page size", "ok", f"{found}; wheels for 64 bit are made for it")
    todo = "write kernel=kernel8.img into /boot/firmware/config.txt and reboot"
    return Check("page size", "warning", f"{found}: 32-bit programs may not load", todo)


def glibc_check(computer: Computer, needs: Sequence[tuple[str, tuple[int, int]]]) -> Check:
    """Wheels name the oldest C library that they work with; a copied venv doesn't ask."""
    if computer.glibc is None:
        return Check("C library", "failed", "not glibc: no runtime is made for it", "use Debian")
    found = f"glibc {computer.glibc[0]}.{computer.glibc[1]}"
    too_new = [f"{name} needs {a}.{b}" for name, (a, b) in needs if (a, b) > computer.glibc]
    if too_new:
        todo = "install earpatch anew on this system, or use a newer one"
        return Check("C library", "failed", f"{found}, but {', '.join(too_new)}", todo)
    return Check("C library", "ok", found)


def _glibc_needs() -> Iterator[tuple[str, tuple[int, int]]]:
    """What the installed wheels ask for."""
    for name in RUNTIMES:
        try:
            wheel = metadata.distribution(name).read_text("WHEEL") or ""
        except metadata.PackageNotFoundError:
            continue
        needs = [(int(a), int(b)) for a, b in _GLIBC_TAG.findall(wheel)]
        needs += [version for tag, version in _OLD_GLIBC_TAGS.items() if tag in wheel]
        if needs:
            yield name, min(needs)
