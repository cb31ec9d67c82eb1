"""Golden windows: does this node's runtime still make of them what calibration's did?

Runtimes, kernels and architectures round differently. Squared distances are exact everywhere
(`edge.nearest`), so what may differ are embeddings, and through them distances. How far those of
normal sound move is estimated from the same windows on both sides; within `TOLERATED` the
thresholds hold, and the node says so. Beyond, it refuses. Thresholds are not computed anew: the
sound is gone, and what moves single cells is not undone by moving their mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from edge.bundle import embedding_scale
from edge.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.runtime import RuntimeInfo

    Int8Array = NDArray[np.int8]

Verdict = Literal["equal", "within one step", "tolerated", "different"]


@dataclass(frozen=True)
class Tolerance:
    """Within which thresholds stay valid, all in spreads of the local scale.

    Measured on simulated machines (docs/bundle.md): runtimes and kernels at hand move single cells
    by 0.36, rows by 0.05 and all by 0.01, and the largest evidence of normal sound by less than it
    differs from one minute to the next. All rows moved by 0.12 make it 0.1 of the alarm level; by
    0.5 they make false alarms.
    """

    cells: float = 0.7  # root mean square of what single cells move
    row: float = 0.3  # the largest mean shift of a row, which a few windows leave in doubt by 0.1
    all_rows: float = 0.12  # the mean shift of all


TOLERATED = Tolerance()


class Shift(NamedTuple):
    """How far distances move, in spreads of the local scale; positive is nearer to an alarm."""

    cells: float = 0.0
    row: float = 0.0
    all_rows: float = 0.0

    def __str__(self) -> str:
        return f"{self.cells:.2f} spreads a cell, {self.row:+.2f} a row, {self.all_rows:+.3f} all"

    @property
    def is_tolerated(self) -> bool:
        """Whether thresholds stand it."""
        limits = (TOLERATED.cells, TOLERATED.row, TOLERATED.all_rows)
        return all(abs(x) <= most for x, most in zip(self, limits, strict=True))


@dataclass(frozen=True)
class GoldenReport:
    """What came of the check."""

    verdict: Verdict
    made_with: RuntimeInfo
    runs_on: RuntimeInfo
    windows: int
    equal_share: float  # of the numbers in the embeddings
    largest_steps: int  # int8 steps between an embedding's number and the expected one
    shift: Shift

    @property
    def is_valid(self) -> bool:
        """Whether the thresholds hold here."""
        return self.verdict != "different"

    @property
    def line(self) -> str:
        """For a log."""
        if self.verdict == "equal":
            return f"golden windows: all {self.windows} equal, with {self.runs_on}"
        return (
            f"golden windows: {self.verdict}: {self.equal_share:.1%} of the embeddings equal, "
            f"others up to {self.largest_steps} steps off; distances move by {self.shift}. "
            f"Thresholds were made with {self.made_with}; this is {self.runs_on}"
        )


def check(bundle: Bundle) -> GoldenReport:
    """Embed the bundle's golden windows here, and compare.

    Raises:
        BundleError: the bundle's own numbers contradict each other, or this machine calculates
            wrongly.
    """
    manifest, golden = bundle.manifest, bundle.golden
    _check_arithmetic(bundle)
    found = np.stack([bundle.backbone.embed_quantised(window) for window in golden.inputs])
    steps = np.abs(found.astype(np.int16) - golden.embeddings)
    largest = int(steps.max())
    shift = _shift(bundle, found) if largest else Shift()
    return GoldenReport(
        verdict=_verdict(largest, shift),
        made_with=manifest.runtime,
        runs_on=bundle.backbone.runtime,
        windows=len(golden.inputs),
        equal_share=float(np.mean(steps == 0)),
        largest_steps=largest,
        shift=shift,
    )


def refuse_if_different(report: GoldenReport) -> None:
    """Where the thresholds don't hold, no node may use them.

    Raises:
        BundleError: the verdict is `different`; says what to do.
    """
    if not report.is_valid:
        raise BundleError(
            f"{report.line}. The thresholds don't stand that ({TOLERATED.cells:g}, "
            f"{TOLERATED.row:g}, {TOLERATED.all_rows:g}). Run 'earpatch calibrate' on this node, "
            "or with '--kernels reference' anywhere: those round alike everywhere"
        )


def nearest_of(bundle: Bundle, embeddings: Int8Array) -> tuple[NDArray[np.int32], ...]:
    """Squared distance and nearest row of each scored cell, [windows, columns, rows] both."""
    scored = np.ascontiguousarray(embeddings[:, :, : bundle.manifest.rows])
    pairs = bundle.bank.nearest(scored.reshape(-1, scored.shape[-1]))
    return tuple(each.reshape(scored.shape[:3]) for each in pairs)


def _check_arithmetic(bundle: Bundle) -> None:
    """From equal embeddings every machine has to get equal distances."""
    squared, nearest = nearest_of(bundle, bundle.golden.embeddings)
    same = (squared == bundle.golden.squared) & (nearest == bundle.golden.nearest)
    if not same.all():
        raise BundleError(
            f"golden windows: {np.count_nonzero(~same)} of {same.size} distances are not what "
            "calibration found from the same numbers. The bundle was put together wrongly, or "
            "numpy's BLAS calculates wrongly here: run 'earpatch calibrate' on this node"
        )


def _shift(bundle: Bundle, found: Int8Array) -> Shift:
    """How far the distances of the normal windows move; of single cells in all of them."""
    info = bundle.manifest.backbone
    inner = slice(info.context_columns, info.grid_columns - info.context_columns)
    unit = float(embedding_scale(bundle.manifest))
    here = np.sqrt(nearest_of(bundle, found)[0][:, inner].astype(np.float64))
    there = np.sqrt(bundle.golden.squared[:, inner].astype(np.float64))
    spread = np.asarray(bundle.manifest.thresholds.local.distance.spread)
    with np.errstate(over="ignore", invalid="ignore"):  # absurd thresholds are within no bounds
        moved = (here - there) * unit / spread
        cells = float(np.sqrt(np.mean(moved**2)))
        by_row = moved[:-1].mean(axis=(0, 1))  # without the disturbed one
    return Shift(cells, float(by_row[np.abs(by_row).argmax()]), float(by_row.mean()))


def _verdict(largest: int, shift: Shift) -> Verdict:
    if largest == 0:
        return "equal"
    if not shift.is_tolerated:
        return "different"
    return "within one step" if largest == 1 else "tolerated"
