"""One door to the TFLite runtimes: tflite-runtime where it exists, ai-edge-litert elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import tempfile
from importlib import metadata
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from edge.errors import RuntimeUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator

RuntimeName = Literal["auto", "tflite-runtime", "litert"]
KernelName = Literal["xnnpack", "optimised", "reference"]
KernelChoice = Literal["auto", "xnnpack", "optimised", "reference"]

_MODULES = {
    "tflite-runtime": ("tflite_runtime.interpreter", "tflite-runtime"),
    "litert": ("ai_edge_litert.interpreter", "ai-edge-litert"),
}


# XNNPACK is what a runtime takes by itself where it can.
_RESOLVERS = {"optimised": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


class RuntimeInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which runtime did the work; kept in the bundle, since they round differently.

    Reference kernels round alike in every runtime and on every machine; optimised ones alike in
    both runtimes, and XNNPACK's like nothing else (see docs/bundle.md).
    """

    name: str
    version: str
    kernels: KernelName = "optimised"
    machine: str = ""  # as `uname -m` says it

    def __str__(self) -> str:
        return f"{self.name} {self.version}, {self.kernels} kernels on {self.machine or 'unknown'}"


def make_interpreter(
    model: bytes,
    *,
    runtime: RuntimeName = "auto",
    kernels: KernelChoice = "auto",
    threads: int = 1,
) -> tuple[Any, RuntimeInfo]:
    """Build an interpreter with its tensors allocated.

    Importing a runtime proves nothing: tflite-runtime imports under numpy 2 and fails only here.

    Args:
        model: a TFLite flatbuffer.
        runtime: the one to use; `auto` takes the first that works.
        kernels: which of its kernels; `auto` and `xnnpack` leave it to the runtime, which takes
            XNNPACK where it can. What it took is in the answer.
        threads: more than one is slower for windows this small.

    Raises:
        RuntimeUnavailableError: none works; the message says what each of them said.
    """
    names = list(_MODULES) if runtime == "auto" else [runtime]
    failures = []
    for name in names:
        module_name, distribution = _MODULES[name]
        try:
            module = importlib.import_module(module_name)
            with _without_chatter():
                interpreter = module.Interpreter(
                    model_content=model, num_threads=threads, **_kernel_options(module, kernels)
                )
                interpreter.allocate_tensors()
        except _FAILURES as error:
            first_line = next(iter(str(error).splitlines()), type(error).__name__)
            failures.append(f"{name}: {first_line}")
            continue
        taken = _kernels(interpreter, kernels)
        return interpreter, RuntimeInfo(name, _version(distribution), taken, platform.machine())
    raise RuntimeUnavailableError(
        "no TFLite runtime could load the model (" + "; ".join(failures) + "). "
        "Install tflite-runtime with numpy<2 (Python up to 3.11) or ai-edge-litert"
    )


# What a runtime was seen to raise when it was built for another numpy, misses a library, or
# meets a model that it doesn't know.
_FAILURES = (ImportError, AttributeError, ValueError, RuntimeError, SystemError, OSError)


def _kernel_options(module: Any, kernels: KernelChoice) -> dict[str, Any]:
    resolver = _RESOLVERS.get(kernels)
    if resolver is None:
        return {}
    return {"experimental_op_resolver_type": getattr(module.OpResolverType, resolver)}


def _kernels(interpreter: Any, asked: KernelChoice) -> KernelName:
    """What was really taken: litert goes without XNNPACK where it can't tell the CPUs' number."""
    if asked == "reference":
        return "reference"
    # Neither runtime says it in its public interface; both have this.
    operators = {each["op_name"] for each in interpreter._get_ops_details()}  # noqa: SLF001
    return "xnnpack" if "DELEGATE" in operators else "optimised"


def _version(distribution: str) -> str:
    """The installed version; a runtime may have come under another distribution's name."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "unknown"


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Pass on what the runtime's C++ code writes to stderr, but for its INFO lines."""
    saved = os.dup(2)
    with tempfile.TemporaryFile() as written:
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            written.seek(0)
            lines = [line for line in written if not line.startswith(b"INFO: ")]
            os.write(2, b"".join(lines))
