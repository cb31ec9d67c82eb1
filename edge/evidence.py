"""From distances to evidence: what a row's distance means, in units of what is normal for it.

A distance alone says little: low rows and high rows differ in how far normal sound strays from the
bank. So each row's distance is averaged over time, on a short and on a long scale, and standardised
by what the same row and scale did on normal sound that was kept out of the bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

ALARM = 1.0  # evidence at which an event exists
# A longer average takes in a cell at no more than this many short-scale spreads: what is louder is
# found at the short scale, and would drown everything around it at the long one.
MOST_SPREADS = 4.0


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What held-out normal sound does at one averaging time."""

    columns: int  # odd: the average is centred on its column
    row_centre: list[float]  # median of the averaged distance, by row
    row_spread: list[float]  # one standard deviation's worth of its upper half, by row
    held_out_max: float  # the largest deviation in it, in spreads
    alarm: float  # the deviation at which an event exists, in spreads


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an event begins and ends."""

    scales: list[Scale]  # from the shortest; that one also tells where a slow deviation lies
    release: float  # evidence down to which an event's box reaches; an event exists at 1
    held_out_s: float  # how much normal sound this rests on


class MovingAverage:
    """Centred average over an odd number of columns, streaming; shorter at both ends.

    Args:
        columns: how many columns are averaged.
        rows: how many rows a column has.

    Raises:
        ValueError: an even number of columns.
    """

    def __init__(self, columns: int, rows: int) -> None:
        if columns < 1 or columns % 2 == 0:
            raise ValueError(f"the number of columns to average is odd, not {columns}")
        self._reach = columns // 2
        self._kept = np.empty((0, rows), np.float32)  # what the next averages still need
        self._next = 0  # index in `_kept` of the column that the next average is centred on

    def push(self, columns: FloatArray) -> FloatArray:
        """[n, rows] in, the averages that are complete by now out, in order."""
        self._kept = np.concatenate([self._kept, columns])
        return self._average(len(self._kept) - self._reach - self._next)

    def finish(self) -> FloatArray:
        """The last averages, over the columns that there are."""
        return self._average(len(self._kept) - self._next)

    def _average(self, count: int) -> FloatArray:
        out = np.empty((max(0, count), self._kept.shape[1]), np.float32)
        for i in range(len(out)):
            centre = self._next + i
            window = self._kept[max(0, centre - self._reach) : centre + self._reach + 1]
            out[i] = window.mean(axis=0)
        drop = max(0, self._next + len(out) - self._reach)
        self._kept = self._kept[drop:]
        self._next += len(out) - drop
        return out


class Evidence:
    """A stream of distances becomes a stream of evidence: 1 is the alarm level.

    The largest of the scales counts. A long average smears an event over its whole length; so each
    cell gets only the share of it that the cell carries itself at the shortest scale.

    Args:
        thresholds: what is normal.
        rows: how many rows, from the lowest, the distances have.
    """

    def __init__(self, thresholds: Thresholds, rows: int) -> None:
        shortest, *longer = thresholds.scales
        self._rows = rows
        self._own = _ScaleStream(shortest, rows)
        self._longer = [_ScaleStream(scale, rows) for scale in longer]

    def push(self, distances: FloatArray) -> FloatArray:
        """[n, rows] distances in, [m, rows] evidence out: half the longest scale later."""
        self._own.push(distances)
        for scale in self._longer:
            scale.push(np.minimum(distances, self._own.ceiling))
        return self._take()

    def finish(self) -> FloatArray:
        """The evidence of the last columns."""
        for scale in (self._own, *self._longer):
            scale.finish()
        return self._take()

    def _take(self) -> FloatArray:
        count = min(len(scale.averages) for scale in (self._own, *self._longer))
        own = self._own.deviation(self._own.take(count))
        evidence = own / np.float32(self._own.alarm)
        for scale in self._longer:
            averages = scale.take(count)
            share = own / np.maximum(self._own.deviation(averages), np.float32(1e-6))
            slow = scale.deviation(averages) / np.float32(scale.alarm)
            np.maximum(evidence, slow * np.clip(share, 0, 1), out=evidence)
        return evidence


class _ScaleStream:
    """Averages at one scale, kept until the longest scale has caught up."""

    def __init__(self, scale: Scale, rows: int) -> None:
        self.alarm = scale.alarm
        self.averages = np.empty((0, rows), np.float32)
        self._average = MovingAverage(scale.columns, rows)
        self._centre = np.asarray(scale.row_centre[:rows], np.float32)
        self._spread = np.asarray(scale.row_spread[:rows], np.float32)

    @property
    def ceiling(self) -> FloatArray:
        """The distance beyond which a cell counts no more in a longer average, by row."""
        return self._centre + np.float32(MOST_SPREADS) * self._spread

    def push(self, distances: FloatArray) -> None:
        self.averages = np.concatenate([self.averages, self._average.push(distances)])

    def finish(self) -> None:
        self.averages = np.concatenate([self.averages, self._average.finish()])

    def take(self, count: int) -> FloatArray:
        taken, self.averages = self.averages[:count], self.averages[count:]
        return taken

    def deviation(self, averages: FloatArray) -> FloatArray:
        """Averaged distances in spreads of what is normal at this scale."""
        return (averages - self._centre) / self._spread


def ceiling(shortest: Scale) -> FloatArray:
    """Distances above this count no more in a longer average. [rows]."""
    return _ScaleStream(shortest, len(shortest.row_centre)).ceiling


def averages(columns: int, distances: FloatArray) -> FloatArray:
    """The moving average of a whole stretch, [columns, rows]."""
    average = MovingAverage(columns, distances.shape[1])
    return np.concatenate([average.push(distances), average.finish()])
