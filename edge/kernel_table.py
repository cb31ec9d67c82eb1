"""How runtimes and kernels differ on one bundle: its golden windows, and recordings if given.

The first row is what the thresholds were made with, where that works here; recordings are compared
with what it makes of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.bundle import open_bundle, read_manifest
from edge.bundle_store import current_version
from edge.detector import Detector
from edge.errors import RuntimeUnavailableError
from edge.golden import check
from edge.recording import read_blocks, recording_info

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.runtime import KernelChoice, RuntimeName

TRIED: list[tuple[RuntimeName, KernelChoice]] = [
    ("tflite-runtime", "optimised"),
    ("litert", "optimised"),
    ("litert", "xnnpack"),
    ("tflite-runtime", "reference"),
    ("litert", "reference"),
]


@dataclass(frozen=True)
class Heard:
    """What one of them made of the recordings, and how that differs from the first one's."""

    largest_evidence: float
    events: int
    evidence_moved_mean: float  # of the largest evidence of each column
    evidence_moved_p99: float  # 99 % of the columns move by less


@dataclass(frozen=True)
class Row:
    """One runtime with one kind of kernels."""

    runtime: str
    version: str
    kernels: str
    machine: str
    verdict: str
    equal_share: float
    largest_steps: int
    cells: float  # see edge.golden.Shift
    row: float
    all_rows: float
    window_ms: float  # the fastest of the golden windows
    heard: Heard | None


def compare(path: Path, files: Sequence[Path]) -> list[Row]:
    """Every combination that works here.

    Raises:
        BundleError: the bundle is damaged.
        RecordingError: a recording is.
    """
    rows: list[Row] = []
    first: list[NDArray[np.float32]] = []
    made = read_manifest(current_version(path)).runtime
    for runtime, kernels in sorted(TRIED, key=lambda each: each != (made.name, made.kernels)):
        try:
            bundle = open_bundle(path, runtime=runtime, kernels=kernels)
        except RuntimeUnavailableError:
            continue
        if bundle.backbone.runtime.kernels != kernels:
            continue  # litert without XNNPACK
        curves, events = _score(bundle, files)
        first = first or curves
        rows.append(_row(bundle, _heard(curves, first, events) if files else None))
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """Lines to be printed."""
    titles = ["runtime", "kernels", "golden", "equal", "steps", "cells", "row", "all rows", "ms"]
    if any(row.heard for row in rows):
        titles += ["largest", "events", "moved", "moved p99"]
    lines = [titles, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _row(bundle: Bundle, heard: Heard | None) -> Row:
    report, info = check(bundle), bundle.backbone.runtime
    return Row(
        runtime=info.name,
        version=info.version,
        kernels=info.kernels,
        machine=info.machine,
        verdict=report.verdict,
        equal_share=report.equal_share,
        largest_steps=report.largest_steps,
        cells=report.shift.cells,
        row=report.shift.row,
        all_rows=report.shift.all_rows,
        window_ms=min(_window_ms(bundle, window) for window in bundle.golden.inputs),
        heard=heard,
    )


def _window_ms(bundle: Bundle, window: NDArray[np.int8]) -> float:
    begin_s = time.perf_counter()
    bundle.backbone.embed_quantised(window)
    return (time.perf_counter() - begin_s) * 1e3


def _score(bundle: Bundle, files: Sequence[Path]) -> tuple[list[NDArray[np.float32]], int]:
    """The largest fast evidence of each column of each recording, and the number of events."""
    curves, events = [], 0
    for path in files:
        info = recording_info(path)
        detector = Detector(bundle, rate_hz=info.rate_hz)
        found = [*(detector.push(block) for block in read_blocks(info)), detector.finish()]
        curves.append(np.concatenate([each.fast.evidence.max(axis=1) for each in found]))
        events += sum(len(each.events) for each in found)
    return curves, events


def _heard(
    curves: Sequence[NDArray[np.float32]], first: Sequence[NDArray[np.float32]], events: int
) -> Heard:
    here = np.concatenate(curves)
    moved = here - np.concatenate(first)
    return Heard(
        largest_evidence=float(here.max()),
        events=events,
        evidence_moved_mean=float(moved.mean()),
        evidence_moved_p99=float(np.quantile(np.abs(moved), 0.99)),
    )


def _cells(row: Row) -> list[str]:
    cells = [
        f"{row.runtime} {row.version}", f"{row.kernels}, {row.machine}", row.verdict,
        f"{row.equal_share:.1%}", str(row.largest_steps), f"{row.cells:.2f}", f"{row.row:+.2f}",
        f"{row.all_rows:+.3f}", f"{row.window_ms:.2f}",
    ]  # fmt: skip
    if (heard := row.heard) is not None:
        cells += [
            f"{heard.largest_evidence:.3f}", str(heard.events),
            f"{heard.evidence_moved_mean:+.4f}", f"{heard.evidence_moved_p99:.3f}",
        ]  # fmt: skip
    return cells
