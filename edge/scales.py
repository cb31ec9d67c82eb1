"""One scale of evidence: averages of distances and levels, and how far they stray from normal.

Distances and levels stand side by side, [n, 2 rows]: what is done to both is done at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from edge.moving import MovingAverage, MovingMedian

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

LOCAL_COLUMNS = 3  # the scale that tells where a slow deviation lies
# A longer average takes in a cell at no more than this many local spreads: what is louder is
# found at a short scale, and would drown everything around it at a long one.
MOST_SPREADS = 4.0
SLOW_COLUMNS = 100  # longer averages than this come too late to wait for
DISTURBED_UNITS, DISTURBED_AFTER_COLUMNS = 1.0, 4  # when a column is too loud for a long scale


class RowStatistics(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What held-out normal sound does, by row."""

    centre: list[float]
    spread: list[float]  # one standard deviation's worth


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is normal at one averaging time."""

    columns: int  # odd: the average is centred on its column
    against: Literal["normal", "recent"]  # all normal sound, or the seconds around a cell
    distance: RowStatistics
    level: RowStatistics  # in dB
    joint: RowStatistics  # of both deviations added
    unit: float  # the joint deviation that counts as 1 before scales are compared


class Calm:
    """What longer scales hear: a column that is an alarm by itself as if it were normal.

    Args:
        local: the local scale.
        rows: how many rows a column has.
    """

    def __init__(self, local: Scale, rows: int) -> None:
        self._rows = rows
        self._normal = _of_rows(rows, local.distance.centre, local.level.centre)
        self._distance, self._spread = _pair(local.distance, rows)
        self._limit = np.float32(DISTURBED_UNITS * local.unit)
        self._since = DISTURBED_AFTER_COLUMNS  # columns since the last disturbed one

    def push(self, both: FloatArray) -> FloatArray:
        """[n, 2 rows] in, [n, 2 rows] out."""
        return self.calmed(self.disturbed(both[:, : self._rows]), both)

    def disturbed(self, distances: FloatArray) -> NDArray[np.bool_]:
        """Which of the next columns, [n, rows], are not heard as they are; [n]."""
        loud = ((distances - self._distance) / self._spread).max(axis=1) > self._limit
        disturbed = np.empty(len(loud), np.bool_)
        for i, is_loud in enumerate(loud.tolist()):
            self._since = 0 if is_loud else self._since + 1
            disturbed[i] = self._since < DISTURBED_AFTER_COLUMNS
        return disturbed

    def calmed(self, disturbed: NDArray[np.bool_], both: FloatArray) -> FloatArray:
        """Both, with what is normal in the place of disturbed columns."""
        return np.where(disturbed[:, None], self._normal, both) if disturbed.any() else both


class ScaleStream:
    """One scale: averages of both streams and their joint deviation, kept until it is taken.

    Args:
        scale: what is normal.
        rows: how many rows a column has.
        keeps_excess: whether `take_excess` will be called for every column.
    """

    def __init__(self, scale: Scale, rows: int, *, keeps_excess: bool = False) -> None:
        self.scale = scale
        self._keeps_excess = keeps_excess
        self.is_slow = scale.columns > SLOW_COLUMNS
        self._shared = scale.against == "normal" and scale.columns > LOCAL_COLUMNS
        self._centre = _of_rows(rows, scale.distance.centre, scale.level.centre)
        self._spread = _of_rows(rows, scale.distance.spread, scale.level.spread)
        self._joint = _pair(scale.joint, rows)
        reach = np.float32(MOST_SPREADS) * self._spread
        self._least, self._most = self._centre - reach, self._centre + reach
        self._least[:rows] = -np.inf  # near is near
        self._rows = rows
        self._average = moving(scale.columns, 2 * rows)  # of both streams, side by side
        self._own_average = MovingAverage(scale.columns, rows)
        empty = np.empty((0, rows), np.float32)
        self._deviations, self._excess, self._own_means = empty, empty, empty
        self._done = self._seen = 0  # columns that came out, and that went in, so far

    @property
    def ready(self) -> int:
        """Columns that can be taken."""
        return min(len(self._deviations), len(self._own_means) if self._shared else 2**31)

    def limited(self, both: FloatArray) -> FloatArray:
        """Both streams without what is too far out for a longer average."""
        limited: FloatArray = np.maximum(both, self._least)
        return np.minimum(limited, self._most, out=limited)

    def push(self, both: FloatArray) -> None:
        """Take in columns, [n, 2 rows]."""
        self._seen += len(both)
        self._add(self._average.push(both), None)

    def finish(self) -> None:
        """The stream has ended."""
        self._add(self._average.finish(), self._seen)

    def push_own(self, own: FloatArray, *, last: bool) -> None:
        """Take in local deviations, of which each cell will get its share."""
        if not self._shared:
            return
        bounded = np.minimum(np.maximum(own, 0), np.float32(MOST_SPREADS))
        parts = [self._own_means, self._own_average.push(bounded)]
        self._own_means = np.concatenate([*parts, *([self._own_average.finish()] if last else [])])

    def take(self, count: int, own: FloatArray | None = None) -> FloatArray:
        """The next deviations, each cell with its share where local ones are given."""
        found, self._deviations = self._deviations[:count], self._deviations[count:]
        if own is None or not self._shared:
            return found
        means, self._own_means = self._own_means[:count], self._own_means[count:]
        share = np.minimum(np.maximum(own / np.maximum(means, np.float32(1e-6)), 0), 1)
        return np.where(found > 0, found * share, found)

    def take_excess(self, count: int) -> FloatArray:
        """The next levels above what is normal, in dB."""
        taken, self._excess = self._excess[:count], self._excess[count:]
        return taken

    def _add(self, both: FloatArray, end: int | None) -> None:
        stray = both - self._centre
        if self._keeps_excess:
            self._excess = np.concatenate([self._excess, stray[:, self._rows :]])
        stray /= self._spread
        joint = added(stray[:, : self._rows], stray[:, self._rows :], self.scale.against)
        joint -= self._joint[0]
        joint /= self._joint[1]
        if end is not None or self._done < self.scale.columns:
            joint *= fullness(self._done + np.arange(len(joint)), self.scale.columns, end)
        self._done += len(joint)
        self._deviations = np.concatenate([self._deviations, joint])


def side_by_side(distances: FloatArray, levels_db: FloatArray) -> FloatArray:
    """[n, rows] each to [n, 2 rows]."""
    return np.concatenate([distances, levels_db], axis=1)


def moving(columns: int, rows: int) -> MovingAverage | MovingMedian:
    """What a scale takes of its columns: long ones the median, which no short event moves."""
    return (MovingMedian if columns > SLOW_COLUMNS else MovingAverage)(columns, rows)


def fullness(centres: NDArray[np.int64], columns: int, end: int | None) -> FloatArray:
    """The square root of the share of a window that holds sound, [n, 1]."""
    reach = columns // 2
    before = np.minimum(centres, reach)
    after = np.minimum((np.inf if end is None else end) - 1 - centres, reach)
    return np.asarray(np.sqrt((before + after + 1) / columns), np.float32)[:, None]


def added(far: FloatArray, loud: FloatArray, against: str) -> FloatArray:
    """Both deviations of averaged columns, each in its spreads.

    A quieter cell is no burst, but may be a shift.
    """
    return np.asarray(far + (np.maximum(loud, 0) if against == "recent" else np.abs(loud)))


def _pair(statistics: RowStatistics, rows: int) -> tuple[FloatArray, FloatArray]:
    """Centre and spread of the lowest rows."""
    return _of_rows(rows, statistics.centre), _of_rows(rows, statistics.spread)


def _of_rows(rows: int, *parts: list[float]) -> FloatArray:
    """Of the lowest rows, one part beside the other."""
    return np.concatenate([np.asarray(part[:rows], np.float32) for part in parts])
