"""How long a backbone takes for one window, beside another one measured at the same time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from edge.backbone import Backbone

    FloatArray = NDArray[np.float32]

REPETITIONS, WARM_UP = 200, 10
QUANTILE = 0.9
REFERENCE = "mn04"


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Times of one window: input to int8, inference with one thread, embeddings out."""

    backbone: str
    median_ms: float
    quantile_90_ms: float
    ratio_to_mn04: float | None  # of medians; None: mn04 was not measured
    runtime: str
    version: str


def measure_latency(
    backbones: Mapping[str, Backbone], windows: FloatArray, repetitions: int = REPETITIONS
) -> list[Latency]:
    """Every backbone in turn, again and again, so that what disturbs one disturbs all.

    Args:
        backbones: by name; each interpreter has one thread.
        windows: what they hear, in turn, [n, frames, bands].
        repetitions: how often each is measured.
    """
    times_s: dict[str, list[float]] = {name: [] for name in backbones}
    for repetition in range(WARM_UP + repetitions):
        window = windows[repetition % len(windows)]
        for name, backbone in backbones.items():
            begin = time.perf_counter()
            backbone.embed(window)
            times_s[name].append(time.perf_counter() - begin)
    measured_ms = {name: 1_000 * np.asarray(taken[WARM_UP:]) for name, taken in times_s.items()}
    reference_ms = measured_ms.get(REFERENCE)
    return [
        Latency(
            backbone=name,
            median_ms=float(np.median(taken)),
            quantile_90_ms=float(np.quantile(taken, QUANTILE)),
            ratio_to_mn04=None
            if reference_ms is None
            else float(np.median(taken) / np.median(reference_ms)),
            runtime=backbones[name].runtime.name,
            version=backbones[name].runtime.version,
        )
        for name, taken in measured_ms.items()
    ]
