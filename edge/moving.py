"""Centred windows that move over a stream of columns: mean and median, at constant cost.

Means are taken in integers, so they are the same, bit for bit, however the stream is cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

WINDOWS_AT_ONCE = 16
STEPS_A_UNIT = 2**20  # of the fixed point that sums are taken in


class _Moving(ABC):
    """Something over an odd number of columns around each column; fewer at both ends.

    Args:
        columns: how many columns a window has.
        rows: how many rows a column has.

    Raises:
        ValueError: an even number of columns.
    """

    def __init__(self, columns: int, rows: int) -> None:
        if columns < 1 or columns % 2 == 0:
            raise ValueError(f"a centred window has an odd number of columns, not {columns}")
        self.columns = columns
        self._reach = columns // 2
        self._kept = self._held(np.empty((0, rows), np.float32))  # what the next windows need
        self._next = 0  # index in `_kept` of the column that the next window is centred on

    def push(self, columns: FloatArray) -> FloatArray:
        """[n, rows] in, the columns that are complete by now out, in order."""
        self._kept = np.concatenate([self._kept, self._held(columns)])
        if self._next == self._reach:  # no window is cut short
            return self._advance(max(0, len(self._kept) - 2 * self._reach))
        return self._take(len(self._kept) - self._reach - self._next)

    def finish(self) -> FloatArray:
        """The last columns, over what there is."""
        return self._take(len(self._kept) - self._next)

    def _take(self, count: int) -> FloatArray:
        centres = self._next + np.arange(max(0, count))
        first = np.maximum(0, centres - self._reach)
        last = np.minimum(len(self._kept), centres + self._reach + 1)
        out = self._over(self._kept, first, last)
        drop = max(0, self._next + len(out) - self._reach)
        self._kept = self._kept[drop:]
        self._next += len(out) - drop
        return out

    def _advance(self, count: int) -> FloatArray:
        """The next windows, each whole."""
        out = self._over_whole(self._kept, count)
        self._kept = self._kept[count:]
        return out

    def _held(self, columns: FloatArray) -> NDArray[Any]:
        """What is kept of columns."""
        return columns

    @abstractmethod
    def _over_whole(self, kept: NDArray[Any], count: int) -> FloatArray:
        """What `count` windows amount to, the first at the first column, [count, rows]."""

    @abstractmethod
    def _over(self, kept: NDArray[Any], first: IntArray, last: IntArray) -> FloatArray:
        """What each window `kept[first:last]` amounts to, [len(first), rows]."""


class MovingAverage(_Moving):
    """The mean of each window."""

    def _held(self, columns: FloatArray) -> IntArray:
        steps = columns.astype(np.float64)
        steps *= STEPS_A_UNIT
        return np.rint(steps, out=steps).astype(np.int64)

    def _over_whole(self, kept: IntArray, count: int) -> FloatArray:
        sums = np.add.accumulate(kept, axis=0)
        out = sums[self.columns - 1 : self.columns - 1 + count].copy()
        out[1:] -= sums[: max(0, count - 1)]
        return (out / (self.columns * float(STEPS_A_UNIT))).astype(np.float32)

    def _over(self, kept: IntArray, first: IntArray, last: IntArray) -> FloatArray:
        sums = np.zeros((len(kept) + 1, kept.shape[1]), np.int64)
        np.cumsum(kept, axis=0, out=sums[1:])
        widths = (last - first)[:, None] * float(STEPS_A_UNIT)
        return np.asarray((sums[last] - sums[first]) / np.maximum(widths, 1.0), np.float32)


class MovingMedian(_Moving):
    """The median of each window."""

    def _over(self, kept: FloatArray, first: IntArray, last: IntArray) -> FloatArray:
        out = np.empty((len(first), kept.shape[1]), np.float32)
        whole = np.flatnonzero(last - first == self.columns)
        if len(whole):
            begun = kept[int(first[whole[0]]) :]
            out[whole] = self._over_whole(begun, len(whole))
        for i in np.flatnonzero(last - first != self.columns):
            out[i] = np.median(kept[first[i] : last[i]], axis=0)
        return out

    def _over_whole(self, kept: FloatArray, count: int) -> FloatArray:
        at_once = min(WINDOWS_AT_ONCE, self._reach + 1)
        if 0 < count <= at_once:
            return self._whole(kept, 0, count)
        out = np.empty((count, kept.shape[1]), np.float32)
        for start in range(0, count, at_once):
            some = min(at_once, count - start)
            out[start : start + some] = self._whole(kept, start, some)
        return out

    def _whole(self, kept: FloatArray, first: int, count: int) -> FloatArray:
        """The medians of `count` windows, the first at `first`, each a column later.

        All of them hold the same core, and each a few others. Of the core only the ranks that these
        can move a median to are looked at.
        """
        others, middle = count - 1, self._reach
        core = kept[first + others : first + self.columns].T.copy()
        core.partition((middle - others, middle), axis=-1)
        near = core[:, middle - others : middle + 1]
        window, other = np.arange(count)[:, None], np.arange(others)
        places = first + window + other
        places += (other >= others - window) * (self.columns - others)  # behind the core
        parts = np.empty((count, kept.shape[1], count + others), np.float32)
        parts[..., :count] = near
        parts[..., count:] = kept[places].transpose(0, 2, 1)
        parts.partition(others, axis=-1)
        return parts[..., others]


class Departure:
    """How far each column lies from the median of the sound around it. [rows] a column.

    Args:
        columns: how many columns the median is of.
        rows: how many rows a column has.
        floor: a median below it counts as if it were this, [rows]: in unusually calm sound the
            ordinary is no departure.
    """

    def __init__(self, columns: int, rows: int, floor: FloatArray | None = None) -> None:
        self._floor = np.float32(-np.inf) if floor is None else floor
        self._median = MovingMedian(columns, rows)
        self._waiting = np.empty((0, rows), np.float32)

    def push(self, columns: FloatArray) -> FloatArray:
        """[n, rows] in, half a window later the departures out."""
        self._waiting = np.concatenate([self._waiting, columns])
        return self._subtract(self._median.push(columns))

    def finish(self) -> FloatArray:
        """The departures of the last columns."""
        return self._subtract(self._median.finish())

    def _subtract(self, medians: FloatArray) -> FloatArray:
        done, self._waiting = self._waiting[: len(medians)], self._waiting[len(medians) :]
        return np.asarray(done - np.maximum(medians, self._floor))
