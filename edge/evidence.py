"""From distances to evidence: what a row's distance means, in units of what is normal for it.

A distance alone says little: low rows and high rows differ in how far normal sound strays from the
bank. So each row's distance is averaged over a short time and standardised by what the same row
did on normal sound that was kept out of the bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What held-out normal sound looks like, and where an event begins."""

    row_centre: list[float]  # median of the averaged distance, by row
    row_spread: list[float]  # one standard deviation's worth of its upper half, by row
    average_columns: int  # odd: the average is centred on its column
    alarm: float  # evidence at which an event exists
    release: float  # evidence down to which its box reaches
    held_out_s: float  # how much normal sound this rests on
    held_out_max: float  # the largest evidence in it


class MovingAverage:
    """Centred average over an odd number of columns, streaming; shorter at both ends.

    Args:
        columns: how many columns are averaged.
    """

    def __init__(self, columns: int) -> None:
        if columns < 1 or columns % 2 == 0:
            raise ValueError(f"the number of columns to average is odd, not {columns}")
        self._reach = columns // 2
        self._kept: FloatArray | None = None  # columns still needed to the left of the next output
        self._lead = 0  # how many of them lie before the next output

    def push(self, columns: FloatArray) -> FloatArray:
        """[n, rows] in, the averages that are complete by now out, in order."""
        self._keep(columns)
        assert self._kept is not None  # noqa: S101
        return self._average(len(self._kept) - self._reach - self._lead)

    def finish(self) -> FloatArray:
        """The last averages, over the columns that there are."""
        if self._kept is None:
            return np.empty((0, 0), np.float32)
        return self._average(len(self._kept) - self._lead)

    def _keep(self, columns: FloatArray) -> None:
        self._kept = columns if self._kept is None else np.concatenate([self._kept, columns])

    def _average(self, count: int) -> FloatArray:
        assert self._kept is not None  # noqa: S101
        out = np.empty((max(0, count), self._kept.shape[1]), np.float32)
        for i in range(len(out)):
            centre = self._lead + i
            window = self._kept[max(0, centre - self._reach) : centre + self._reach + 1]
            out[i] = window.mean(axis=0)
        drop = max(0, self._lead + len(out) - self._reach)
        self._kept = self._kept[drop:]
        self._lead += len(out) - drop
        return out


class Evidence:
    """A stream of distances becomes a stream of evidence, one column later."""

    def __init__(self, thresholds: Thresholds, rows: int) -> None:
        self._average = MovingAverage(thresholds.average_columns)
        self._centre = np.asarray(thresholds.row_centre[:rows], np.float32)
        self._spread = np.asarray(thresholds.row_spread[:rows], np.float32)

    def push(self, distances: FloatArray) -> FloatArray:
        """[n, rows] distances in, [m, rows] evidence out."""
        return self._standardise(self._average.push(distances))

    def finish(self) -> FloatArray:
        """The evidence of the last columns."""
        return self._standardise(self._average.finish())

    def _standardise(self, averaged: FloatArray) -> FloatArray:
        if not averaged.size:
            return np.empty((0, len(self._centre)), np.float32)
        return (averaged - self._centre) / self._spread
