"""The whole path's peers on the same windows: PatchCore, the DCASE2020 autoencoder, YAMNet.

All on one thread, as earpatch is; processor time for each second of sound. anomalib lives in an
environment of its own (`make bench-peers`), whose interpreter is named with `--peers-python`.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from convert.bench.children import ask
from convert.bench.figures import Figure, figure
from edge.bundle import open_bundle
from edge.embedding import Windows
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.bench.site import BenchSite

SECTION = "peers"
WINDOWS_FILE = "windows.npy"
LEARN, SCORE = 32, 16  # windows
PATCHCORES = {
    "PatchCore, wide_resnet50_2": ("wide_resnet50_2", ["layer2", "layer3"]),
    "PatchCore, MobileNetV2": ("mobilenetv2_100", ["blocks.2", "blocks.4"]),
}
ENGINES = ("torch", "openvino")


def measure(
    site: BenchSite, ours: list[Figure], python: Path | None, note: Callable[[str], None]
) -> Iterator[Figure]:
    """Processor time and memory of each peer, beside the whole path's own."""
    advance_s = _save_windows(site)
    total, memory = ours
    for each, other in ((total, "earpatch, whole path"), (memory, "earpatch, whole path")):
        unit = "ms for each s of sound" if each is total else "MB"
        yield _renamed(each, other, unit)
    yield from _patchcores(site, total, memory, advance_s, python, note)
    if find_spec("tensorflow") is None:
        note("skipped: the autoencoder and YAMNet, tensorflow is not installed")
        return
    ask("convert.bench.tflite_makers", {"folder": str(site.folder)})
    for name, found in ask("convert.bench.tflite_child", {"folder": str(site.folder)}).items():
        spent = [1e3 * s for s in found["spent_s"]]
        yield figure(SECTION, name, "processor time", "ms for each s of sound", spent)
        yield _against(name, spent, total)


def _patchcores(
    site: BenchSite,
    total: Figure,
    memory: Figure,
    advance_s: float,
    python: Path | None,
    note: Callable[[str], None],
) -> Iterator[Figure]:
    if python is None:
        note("skipped: anomalib's PatchCore, no --peers-python")
        return
    script = Path(__file__).with_name("patchcore_child.py")
    for name, (backbone, layers) in PATCHCORES.items():
        for engine in ENGINES:
            job = {
                "windows": str(site.folder / WINDOWS_FILE), "backbone": backbone,
                "layers": layers, "engine": engine, "learn": LEARN, "score": SCORE,
            }  # fmt: skip
            try:
                found = ask(str(script), job, python=str(python))
            except EarpatchError as error:
                note(f"skipped: {name}, {engine}: {error}")
                continue
            setting = f"{name}, {engine}"
            spent = [1e3 * s / advance_s for s in found["spent_s"]]
            yield figure(SECTION, setting, "processor time", "ms for each s of sound", spent)
            yield _against(setting, spent, total)
            peak = found["peak_mb"]
            yield figure(SECTION, setting, "peak resident memory", "MB", [peak])
            yield figure(SECTION, setting, "memory", "times ours", [peak / memory.median])


def _against(setting: str, spent_ms: list[float], total: Figure) -> Figure:
    share = [each / total.median for each in spent_ms]
    return figure(SECTION, setting, "processor time", "times ours", share)


def _renamed(each: Figure, setting: str, unit: str) -> Figure:
    values = [each.low, each.median, each.high]
    return figure(SECTION, setting, each.name, unit, values)


def _save_windows(site: BenchSite) -> float:
    """Windows of the site's sound, [n, frames, bands]; returns the seconds from one to the next."""
    manifest = open_bundle(site.bundle).manifest
    info, front_end = manifest.backbone, manifest.front_end
    samples, rate_hz = soundfile.read(site.day, dtype="float32")
    windows = Windows(front_end, info, rate_hz=rate_hz, limit_hz=manifest.limit_hz)
    found = windows.push(samples[: round((LEARN + SCORE) * rate_hz)])
    np.save(site.folder / WINDOWS_FILE, np.stack(found))
    inner = info.window_frames - 2 * info.context_columns * info.frames_per_column
    return float(inner * front_end.frame_s)
