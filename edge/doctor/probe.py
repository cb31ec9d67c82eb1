"""What doctor tries in a process of its own: `python -m edge.doctor.probe TASK SECONDS ARGUMENTS`.

Each step says when it begins and what it found, a JSON object a line, so that a step that kills
the process is known. Nothing is imported before the step that tries it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.resources
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

from edge.doctor.check import first_line
from edge.doctor.child import MARK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# In the order in which the node loads them: what bundles its own OpenMP library comes first.
PACKAGES = (
    "msgspec", "numpy", "scipy.signal", "scipy.fft", "soundfile", "pyaudio", "paho.mqtt.client",
    "PIL.Image", "tqdm",
)  # fmt: skip
WINDOWS, NOISE_S, BLOCK_S, NOISE_LEVEL = 5, 6.0, 0.1, 0.05
NEEDED = {"load", "construct", "verify"}  # where one of these fails, no more is tried
KINDER = 10  # than the node, which may run beside it


def imports() -> None:
    """Load every package that a node needs."""
    for name in PACKAGES:
        with _step(name) as found:
            module = importlib.import_module(name)
            found["version"] = getattr(module, "__version__", "")


def interpreter(runtime: str) -> None:
    """Construct an interpreter with the built-in backbone, and run windows through it."""
    with _step("load"):
        import msgspec  # noqa: PLC0415
        import numpy as np  # noqa: PLC0415

        from edge.backbone import Backbone, BackboneInfo  # noqa: PLC0415
    with _step("construct") as found:
        folder = importlib.resources.files("edge") / "builtin"
        card = msgspec.json.decode((folder / "backbone.json").read_bytes())
        info = msgspec.convert(card["info"], BackboneInfo)
        model = (folder / "backbone.tflite").read_bytes()
        backbone = Backbone(model, info, runtime=runtime)  # type: ignore[arg-type]
        found |= {"runtime": backbone.runtime.name, "version": backbone.runtime.version}
        found["numpy"] = np.__version__
    with _step("window") as found:
        window = np.zeros((info.window_frames, info.mel_bands), np.float32)
        first = backbone.embed(window)
        began = time.perf_counter()
        same = all(np.array_equal(backbone.embed(window), first) for _ in range(WINDOWS))
        found |= {"ms": (time.perf_counter() - began) / WINDOWS * 1000, "same": same}


def bundle(path: str, runtime: str, rate_hz: int, *, timed: bool) -> None:
    """Verify a bundle, compare its golden windows, and see how fast it scores."""
    from pathlib import Path  # noqa: PLC0415

    from edge.bundle import open_bundle  # noqa: PLC0415
    from edge.golden import check  # noqa: PLC0415

    os.nice(KINDER if not timed else 0)
    with _step("verify") as found:
        opened = open_bundle(Path(path), runtime=runtime)  # type: ignore[arg-type]
        manifest, runs_on = opened.manifest, opened.backbone.runtime
        found |= {"id": manifest.bundle_id, "created": manifest.created_utc}
        found |= {"made_with": str(manifest.runtime), "runs_on": str(runs_on)}
    with _step("golden") as found:
        report = check(opened)
        found |= {"valid": report.is_valid, "line": report.line}
    if timed:
        with _step("speed") as found:
            found["factor"] = _real_time_factor(opened, rate_hz)


def _real_time_factor(opened: Any, rate_hz: int) -> float:
    """Scoring time over sound, of noise in blocks as they come from a microphone."""
    import numpy as np  # noqa: PLC0415

    from edge.detector import Detector  # noqa: PLC0415

    detector = Detector(opened, rate_hz=rate_hz)
    noise = np.random.default_rng(0).standard_normal(round(NOISE_S * rate_hz)) * NOISE_LEVEL
    samples, step = noise.astype(np.float32), round(BLOCK_S * rate_hz)
    began = time.perf_counter()
    for start in range(0, len(samples), step):
        detector.push(samples[start : start + step])
    return (time.perf_counter() - began) / NOISE_S


@contextlib.contextmanager
def _step(name: str) -> Iterator[dict[str, Any]]:
    """Say that it begins, and what it found or failed with."""
    _say({"begun": name})
    found: dict[str, Any] = {}
    try:
        yield found
    except Exception as error:  # noqa: BLE001  (every kind of failure is to be told)
        _say({"step": name, "error": first_line(error), "kind": type(error).__name__})
        if name in NEEDED:
            sys.exit(0)
    else:
        _say({"step": name, **found})


def _say(told: dict[str, Any]) -> None:
    print(f"{MARK}{json.dumps(told)}", flush=True)


TASKS: dict[str, Callable[..., None]] = {
    "imports": imports, "interpreter": interpreter, "bundle": bundle
}  # fmt: skip

if __name__ == "__main__":
    signal.alarm(int(sys.argv[2]) + 1)  # should nobody be left who ends it
    TASKS[sys.argv[1]](**json.loads(sys.argv[3]))
