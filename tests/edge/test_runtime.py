"""One door to the TFLite runtimes: what fails says so, and `auto` takes the next one."""

import os
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import numpy as np
import pytest

from edge.bank_file import write_bank
from edge.errors import RuntimeUnavailableError
from edge.runtime import RuntimeName, make_interpreter
from tests.conftest import INSTALLED_RUNTIMES

TFLITE, LITERT = "tflite_runtime.interpreter", "ai_edge_litert.interpreter"
MODEL = write_bank(np.arange(12, dtype=np.int8).reshape(3, 4), 0.1)

# What these packages raise in the field when numpy, the CPU or a library doesn't fit.
FAILURES = [
    ImportError("numpy.core.multiarray failed to import"),
    AttributeError("_ARRAY_API not found"),
    RuntimeError("module compiled against API version 0xe"),
    SystemError("initialization of _pywrap_tensorflow_interpreter_wrapper raised"),
    OSError("libgomp.so.1: cannot allocate memory in static TLS block"),
]


def remove(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """The package isn't installed."""
    monkeypatch.setitem(sys.modules, module, None)


def break_constructor(monkeypatch: pytest.MonkeyPatch, module: str, error: Exception) -> None:
    """The package can be imported, but no interpreter can be built."""

    def fail(**_: object) -> NoReturn:
        os.write(2, b"INFO: made for another machine\nERROR: it does not work\n")
        raise error

    broken = ModuleType(module)
    broken.Interpreter = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module, broken)


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("name", INSTALLED_RUNTIMES)
def test_each_runtime_loads_a_model_and_says_which_it_is(name: RuntimeName) -> None:
    interpreter, info = make_interpreter(MODEL, runtime=name)
    distribution = {"tflite-runtime": "tflite-runtime", "litert": "ai-edge-litert"}[name]
    assert (info.name, info.version) == (name, metadata.version(distribution))
    assert interpreter.get_input_details()[0]["shape"].tolist() == [1, 4]


needs_both = pytest.mark.skipif(
    len(INSTALLED_RUNTIMES) < len(("tflite-runtime", "litert")),
    reason="needs both runtimes, which only Python 3.10 and 3.11 can have",
)


@needs_both
def test_auto_takes_tflite_runtime_where_it_works() -> None:
    assert make_interpreter(MODEL)[1].name == "tflite-runtime"


def test_auto_takes_the_next_runtime_when_the_first_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H01: there is no tflite-runtime for Python 3.12."""
    remove(monkeypatch, TFLITE)
    assert make_interpreter(MODEL)[1].name == "litert"


@pytest.mark.parametrize("error", FAILURES, ids=lambda error: type(error).__name__)
def test_auto_takes_the_next_runtime_when_the_first_is_broken(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """H04, H08: the import succeeds, and only building an interpreter fails."""
    break_constructor(monkeypatch, TFLITE, error)
    assert make_interpreter(MODEL)[1].name == "litert"


def test_when_none_works_the_message_says_what_each_of_them_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    break_constructor(monkeypatch, TFLITE, ImportError("numpy.core.multiarray failed to import"))
    break_constructor(monkeypatch, LITERT, RuntimeError("needs another CPU\nwith details"))
    with pytest.raises(RuntimeUnavailableError) as caught:
        make_interpreter(MODEL)
    message = str(caught.value)
    assert "tflite-runtime: numpy.core.multiarray failed to import" in message
    assert "litert: needs another CPU" in message
    assert "numpy<2" in message
    assert "\n" not in message


def test_an_error_without_a_text_is_told_by_its_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    break_constructor(monkeypatch, LITERT, RuntimeError())
    with pytest.raises(RuntimeUnavailableError, match="litert: RuntimeError"):
        make_interpreter(MODEL, runtime="litert")


@pytest.mark.parametrize(
    ("asked", "module"), [("tflite-runtime", TFLITE), ("litert", LITERT)], ids=["tflite", "litert"]
)
def test_the_runtime_that_was_asked_for_is_never_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, asked: RuntimeName, module: str
) -> None:
    remove(monkeypatch, module)
    with pytest.raises(RuntimeUnavailableError, match=asked):
        make_interpreter(MODEL, runtime=asked)


def test_a_runtime_from_a_package_of_another_name_is_good_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """H02: Debian and nightly builds bring the module under another distribution's name."""

    def nothing_of_that_name(name: str) -> NoReturn:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", nothing_of_that_name)
    interpreter, info = make_interpreter(MODEL)
    assert interpreter.get_input_details()
    assert info.version


def test_bytes_that_are_no_model_are_refused_by_every_runtime() -> None:
    with pytest.raises(RuntimeUnavailableError, match=r"tflite-runtime: .*; litert: "):
        make_interpreter(b"no model")


def test_a_runtimes_info_lines_are_kept_off_stderr_and_its_errors_are_not(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    break_constructor(monkeypatch, TFLITE, RuntimeError("broken"))
    make_interpreter(MODEL)
    written = capfd.readouterr().err
    assert "ERROR: it does not work" in written
    assert "INFO: made for another machine" not in written


def test_building_interpreters_leaks_no_file_descriptors() -> None:
    make_interpreter(MODEL)
    before = open_descriptors()
    kept = [make_interpreter(MODEL)[0] for _ in range(20)]
    assert open_descriptors() == before
    assert len(kept) == 20
