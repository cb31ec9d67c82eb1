"""The interpreter in a process of its own: built and run; whatever kills it is a line.

Situations that are no test here, and why:

| id | why |
|---|---|
| H09 | `Backbone.embed` copies what it hands out and sets its input anew for each window |
| H10 | `Backbone.embed` copies what it hands out and sets its input anew for each window |
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from edge.doctor.check import State, Visit
from edge.doctor.child import Probed, probe
from edge.doctor.interpreter import checks, interpreter_check
from edge.doctor.packages import checks as package_checks
from edge.doctor.packages import pair_check
from edge.doctor.remedies import remedy
from tests.conftest import INSTALLED_RUNTIMES
from tests.edge.doctor.visits import only, put, says

if TYPE_CHECKING:
    from pathlib import Path

WITHIN_S = 60.0
KILL = "import os, signal\nos.kill(os.getpid(), signal.{name})\n"
BUILD = "class Interpreter:\n    def __init__(self, **_):\n        {what}\n"


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose modules come before the installed ones, in children."""
    paths = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    return tmp_path


def tflite(folder: Path, source: str) -> None:
    put(folder, "tflite_runtime/__init__.py", "")
    put(folder, "tflite_runtime/interpreter.py", source)


def probed(runtime: str = "tflite-runtime", within_s: float = WITHIN_S) -> Probed:
    return probe("interpreter", within_s, runtime=runtime)


@pytest.mark.parametrize("runtime", INSTALLED_RUNTIMES)
def test_each_installed_runtime_is_built_and_run(runtime: str) -> None:
    says(interpreter_check(probed(runtime)), "ok", runtime, "numpy", "ms")


@pytest.mark.parametrize(
    ("name", "words"),
    [("SIGILL", "processor lacks"), ("SIGSEGV", "crashed"), ("SIGKILL", "memory")],
)
def test_a_runtime_that_kills_its_process_is_a_line(first: Path, name: str, words: str) -> None:
    """H06, H07: an old processor dies of SIGILL while the runtime is loaded."""
    tflite(first, KILL.format(name=name))
    says(interpreter_check(probed()), "failed", f"died at 'construct': killed by {name}", words)


def test_a_runtime_that_can_be_imported_but_not_built_is_found_out(first: Path) -> None:
    """H04: so it is under numpy 2."""
    error = "raise ImportError('numpy.core.multiarray failed to import')"
    tflite(first, BUILD.format(what=error))
    says(interpreter_check(probed()), "failed", "multiarray", "pip install 'numpy>=1.24,<2'")


def test_a_runtime_that_hangs_is_ended_in_time(first: Path) -> None:
    tflite(first, BUILD.format(what="import time; time.sleep(600)"))
    found = interpreter_check(probed(within_s=8.0))
    says(found, "failed", "died at 'construct': no answer within 8 s")


def test_nothing_is_tried_on_armv6() -> None:
    """H06."""
    visit = Visit(None, has_interpreter=False)
    says(only(checks(visit), "interpreter"), "failed", "SIGILL", "Zero 2")


def test_a_computer_that_calculates_differently_each_time_is_told() -> None:
    built = {"runtime": "litert", "version": "2.3", "numpy": "2.1"}
    found = Probed({"load": {}, "construct": built, "window": {"ms": 1.0, "same": False}})
    says(interpreter_check(found), "failed", "not the same each time", "memory")


def test_every_package_of_the_node_can_be_loaded_here() -> None:
    visit = Visit(None)
    assert only(package_checks(visit), "packages").state == "ok"
    assert visit.loadable


@pytest.mark.parametrize(
    ("name", "source", "loadable", "words"),
    [
        ("soundfile.py", "raise OSError('libsndfile.so.1: cannot open shared object file')",
         True, ("libsndfile", "apt install libsndfile1")),
        ("pyaudio.py", "raise ImportError('libportaudio.so.2: cannot open shared object file')",
         True, ("libportaudio", "apt install libportaudio2")),
        ("numpy.py", KILL.format(name="SIGILL"), False, ("numpy: killed by SIGILL", "processor")),
        ("msgspec.py", "raise ImportError('No module named msgspec')", False, ("msgspec",)),
    ],
    ids=["soundfile", "pyaudio", "numpy", "msgspec"],
)  # fmt: skip
def test_a_package_that_can_t_be_loaded_is_named(
    first: Path, name: str, source: str, loadable: bool, words: tuple[str, ...]
) -> None:
    """H12 and others of its kind."""
    put(first, name, source)
    visit = Visit(None)
    failed = [c for c in package_checks(visit) if c.name == "packages" and c.state == "failed"]
    assert any(all(w in f"{c.found} {c.todo}" for w in words) for c in failed), failed
    assert visit.loadable == loadable


@pytest.mark.parametrize(
    ("tflite", "litert", "numpy", "state", "words"),
    [
        ("2.14.0", None, "1.26.4", "ok", ("2.14.0", "1.26.4")),
        (None, "2.3.0", "2.4.1", "ok", ("ai-edge-litert 2.3.0",)),
        ("2.14.0", None, "2.1.3", "failed", ("before 2", "pip install")),
        ("2.14.0", "2.3.0", "2.1.3", "warning", ("before 2",)),
        ("2.14.0", None, "1.21.0", "failed", ("1.24",)),
        (None, None, "1.26.4", "failed", ("no runtime",)),
        ("2.14.0", None, None, "failed", ("no numpy",)),
    ],
)
def test_the_pair_of_runtime_and_numpy(
    tflite: str | None, litert: str | None, numpy: str | None, state: State, words: tuple[str, ...]
) -> None:
    """H01, H03, H05."""
    says(pair_check(tflite, litert, numpy), state, *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A module that was compiled using NumPy 1.x cannot be run in NumPy 2.1.3", "numpy>="),
        ("module compiled against API version 0xe but this version of numpy is 0xd", "numpy>="),
        ("/x/libgomp-d22c30c5.so: cannot allocate memory in static TLS block", "LD_PRELOAD"),
        ("/lib/libc.so.6: version `GLIBC_2.34' not found", "older than the wheels"),
        ("libfoo.so: ELF load command address/offset not page-aligned", "page size"),
        ("No module named 'tflite_runtime'", "install earpatch anew"),
        ("something new", "install earpatch anew"),
    ],
)
def test_what_to_do_about_the_ways_in_which_packages_fail(text: str, words: str) -> None:
    """H03, H05, H08."""
    assert words in remedy(text)


def test_a_signal_says_more_than_the_last_words() -> None:
    assert "processor" in remedy("numpy.core.multiarray", signal.SIGILL)
    assert remedy("", signal.SIGABRT)
