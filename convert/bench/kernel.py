"""The kernel beside its peers: the nearest of a bank's rows, for int8 queries."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np

from convert.bench.children import ask
from convert.bench.figures import Figure, figure, ratios

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SECTION = "kernel"
GEMM, OURS = "bare GEMM", "earpatch"
# Contenders, and the module that each of them needs.
PEERS = {
    "faiss IndexFlatL2": "faiss",
    "scikit-learn brute": "sklearn",
    "scipy cdist": "scipy",
    "simsimd int8": "simsimd",
    "numkong int8": "numkong",
    "TFLite FULLY_CONNECTED": "tflite_runtime",
}
# Queries, rows, dimensions. A window of the node is 128 x 2000 x 112.
SHAPES = (
    (96, 500, 64), (96, 2_000, 112), (128, 2_000, 112), (256, 2_000, 128), (1_000, 500, 64),
    (1_000, 2_000, 112), (96, 16_000, 256), (1_000, 16_000, 64), (1_000, 16_000, 256),
)  # fmt: skip
QUICK_SHAPES = SHAPES[:3]
BUDGET_S, QUICK_BUDGET_S = 2.0, 0.3  # a shape and peer


def measure(*, quick: bool, note: Callable[[str], None]) -> Iterator[Figure]:
    """Times and paired ratios by shape, on one thread and on all."""
    shapes = QUICK_SHAPES if quick else SHAPES
    budget_s = QUICK_BUDGET_S if quick else BUDGET_S
    peers: list[str | None] = [None, *PEERS]
    for name, module in PEERS.items():
        if find_spec(module) is None:
            note(f"skipped: {name}, {module} is not installed")
            peers.remove(name)
    for threads in sorted({1, os.cpu_count() or 1}):
        for peer in peers:
            job = {"peer": peer, "shapes": shapes, "budget_s": budget_s, "threads": threads}
            found = ask("convert.bench.kernel_child", job, threads=threads)
            yield from _figures(peer, shapes, threads, found)


def _figures(
    peer: str | None,
    shapes: tuple[tuple[int, int, int], ...],
    threads: int,
    found: list[dict[str, list[float]]],
) -> Iterator[Figure]:
    every = []
    for shape, times in zip(shapes, found, strict=True):
        setting = f"{' x '.join(map(str, shape))}, {_threads(threads)}"
        if peer is None:
            ours_us = [1e6 * s for s in times[OURS]]
            yield figure(SECTION, setting, OURS, "us", ours_us)
            share = ratios(times[GEMM], times[OURS])
            yield figure(SECTION, setting, f"of {GEMM}", "share", share)
        else:
            share = ratios(times[peer], times[OURS])
            yield figure(SECTION, setting, peer, "times ours", share)
        every.append(np.median(share))
    mean = float(np.exp(np.mean(np.log(every))))
    name, unit = (f"of {GEMM}", "share") if peer is None else (peer, "times ours")
    yield figure(SECTION, f"geometric mean, {_threads(threads)}", name, unit, [mean])


def _threads(count: int) -> str:
    return f"{count} thread{'s' * (count > 1)}"
