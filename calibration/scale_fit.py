"""What is normal on one scale, from held-out normal sound, a few rows at a time.

All that is learnt of a row is learnt from that row alone, but for which columns are disturbed. So
hours of sound are held once, and what a scale makes of them only for `ROWS_AT_ONCE` rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.tail_fit import block_columns, block_maxima, fit_tail
from edge.evidence import departure
from edge.scales import (
    Calm,
    RowStatistics,
    Scale,
    ScaleStream,
    added,
    fullness,
    moving,
    side_by_side,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, Literal

    from numpy.typing import NDArray

    from edge.moving import Departure, MovingAverage, MovingMedian

    FloatArray = NDArray[np.float32]
    Statistics = tuple[FloatArray, FloatArray]  # centre and spread, by row

ROWS_AT_ONCE = 4
COLUMNS_AT_ONCE = 4_096
UPPER_QUANTILE, UPPER_SIGMAS = 0.95, 1.645  # of a normal distribution
SMALLEST_SPREAD = 0.01  # of the centre: a row that never varied still needs a unit
SMALLEST_LEVEL_SPREAD_DB = 0.4  # a microphone's own drift
SMALLEST_JOINT_SPREAD = 1.0  # a scale that is kept from being too sure is not made so again


@dataclass(frozen=True)
class Segment:
    """An uninterrupted stretch that the bank it was measured with does not hold."""

    distances: FloatArray  # [columns, rows]
    levels_db: FloatArray  # [columns, rows]

    def rows(self, rows: slice) -> Segment:
        """Only some rows, without a copy."""
        return Segment(self.distances[:, rows], self.levels_db[:, rows])

    def side_by_side(self) -> FloatArray:
        """[columns, 2 rows]."""
        return side_by_side(self.distances, self.levels_db)


class HeldOut:
    """Held-out stretches, some rows at a time, as the scales beside the local one hear them.

    Args:
        segments: the stretches.
        local: what is normal on the local scale.
    """

    def __init__(self, segments: Sequence[Segment], local: Scale) -> None:
        self._segments, self._local = segments, local
        self._disturbed = [self._find_disturbed(each) for each in segments]

    def calmed(self, rows: slice) -> list[Segment]:
        """As slow scales hear it: disturbed columns as if they were normal."""
        local, found = self._local_of(rows), []
        segments = some_rows(self._segments, rows)
        for disturbed, segment in zip(self._disturbed, segments, strict=True):
            calm = Calm(local, len(local.level.centre))
            found.append(_apart(calm.calmed(disturbed, segment.side_by_side())))
        return found

    def limited(self, rows: slice) -> list[Segment]:
        """As longer scales hear it: what is too far out in a cell is cut off as well."""
        local = self._local_of(rows)
        stream = ScaleStream(local, len(local.level.centre))
        return [_apart(stream.limited(segment.side_by_side())) for segment in self.calmed(rows)]

    def departed(self, rows: slice) -> list[Segment]:
        """As it departs from the seconds around."""
        local, found = self._local_of(rows), []
        for segment in some_rows(self._segments, rows):
            stream = departure(local, segment.distances.shape[1])
            found.append(_apart(_streamed(stream, segment.side_by_side())))
        return found

    def _find_disturbed(self, segment: Segment) -> NDArray[np.bool_]:
        calm = Calm(self._local, segment.distances.shape[1])
        parts = [calm.disturbed(segment.distances[part]) for part in _parts(segment.distances)]
        return np.concatenate(parts) if parts else np.empty(0, np.bool_)

    def _local_of(self, rows: slice) -> Scale:
        """The local scale of some rows."""
        local = self._local
        return msgspec.structs.replace(
            local,
            distance=_some(local.distance, rows),
            level=_some(local.level, rows),
            joint=_some(local.joint, rows),
        )


def some_rows(segments: Sequence[Segment], rows: slice) -> list[Segment]:
    """Some rows of each stretch, as it is."""
    return [segment.rows(rows) for segment in segments]


def learn_scales(
    hear: Callable[[slice], list[Segment]],
    rows: int,
    lengths: Sequence[int],
    against: Literal["normal", "recent"],
    column_s: float,
    false_alarms_per_day: float,
    smallest: FloatArray | None = None,
) -> list[Scale]:
    """Row statistics of scales that hear the same, and the joint deviation that counts as 1.

    Args:
        hear: some rows of each stretch, as these scales hear them.
        rows: how many there are.
        lengths: the averaging times, in columns.
        against: what a cell is compared with.
        column_s: duration of a column.
        false_alarms_per_day: how often normal sound may reach 1.
        smallest: spread of a distance, [rows], that a scale may not be surer than.
    """
    fits = [_Fit(columns, against) for columns in lengths]
    for first in range(0, rows, ROWS_AT_ONCE):
        some = slice(first, first + ROWS_AT_ONCE)
        heard = hear(some)
        for fit in fits:
            fit.take_in(heard, 1e-6 if smallest is None else smallest[some])
    return [fit.scale(column_s, false_alarms_per_day) for fit in fits]


class _Fit:
    """One scale, of ever more rows."""

    def __init__(self, columns: int, against: Literal["normal", "recent"]) -> None:
        self._columns, self._against = columns, against
        self._found: list[tuple[Statistics, Statistics, Statistics]] = []
        self._curves: list[FloatArray] = []  # the largest deviation of each column

    def take_in(self, segments: Sequence[Segment], smallest: FloatArray | float) -> None:
        """The next rows of each stretch."""
        statistics, largest = _learn_rows(segments, self._columns, self._against, smallest)
        self._found.append(statistics)
        curves = self._curves
        self._curves = list(map(np.maximum, curves, largest)) if curves else largest

    def scale(self, column_s: float, false_alarms_per_day: float) -> Scale:
        """What is normal, by all rows."""
        block = max(self._columns, block_columns(self._curves, column_s))
        tail = fit_tail(block_maxima(self._curves, block), block * column_s)
        distance, level, joint = (_joined(each) for each in zip(*self._found, strict=True))
        return Scale(
            columns=self._columns, against=self._against,
            distance=distance, level=level, joint=joint,
            unit=max(tail.level_of(false_alarms_per_day), UPPER_SIGMAS),
        )  # fmt: skip


def _learn_rows(
    segments: Sequence[Segment], columns: int, against: str, smallest: FloatArray | float
) -> tuple[tuple[Statistics, Statistics, Statistics], list[FloatArray]]:
    """Statistics of distances, levels and both, and the largest deviation of each column."""
    raw = [averaged_over(s.distances, columns) for s in segments]
    levels_db = [averaged_over(s.levels_db, columns) for s in segments]
    distance = upper_statistics(raw, SMALLEST_SPREAD, smallest)
    level = _level_statistics(levels_db)
    for far, loud in zip(raw, levels_db, strict=True):
        for part in _parts(far):
            louder = _in_spreads(loud[part], level)
            far[part] = added(_in_spreads(far[part], distance), louder, against)
    joint = upper_statistics(raw, 0.0, SMALLEST_JOINT_SPREAD)
    return (distance, level, joint), [_largest(part, joint, columns) for part in raw]


def _largest(raw: FloatArray, joint: Statistics, columns: int) -> FloatArray:
    deviations = _in_spreads(raw, joint)
    return np.asarray((deviations * fullness(np.arange(len(raw)), columns, len(raw))).max(axis=1))


def _in_spreads(columns: FloatArray, statistics: Statistics) -> FloatArray:
    return (columns - statistics[0]) / statistics[1]


def _apart(both: FloatArray) -> Segment:
    """What stood side by side."""
    distances, levels_db = np.split(both, 2, axis=1)
    return Segment(distances, levels_db)


def _parts(columns: FloatArray) -> list[slice]:
    """A long stretch in parts: it comes out the same, in less memory."""
    return [slice(at, at + COLUMNS_AT_ONCE) for at in range(0, len(columns), COLUMNS_AT_ONCE)]


def _streamed(stream: MovingAverage | MovingMedian | Departure, columns: FloatArray) -> FloatArray:
    """A stretch through a stream, in as many columns as it has."""
    out, done = np.empty_like(columns), 0
    for part in _parts(columns):
        found = stream.push(columns[part])
        out[done : done + len(found)] = found
        done += len(found)
    out[done:] = stream.finish()
    return out


def averaged_over(columns: FloatArray, over: int) -> FloatArray:
    """Columns of a stretch, averaged over a scale."""
    return _streamed(moving(over, columns.shape[1]), columns)


def _by_row(
    parts: Sequence[FloatArray], statistic: Callable[[FloatArray], Any]
) -> NDArray[np.floating[Any]]:
    """A statistic of each row of all parts, one row after another, for the memory."""
    rows = range(parts[0].shape[1])
    return np.asarray([statistic(np.concatenate([p[:, row] for p in parts])) for row in rows])


def upper_statistics(
    parts: Sequence[FloatArray], relative: float, smallest: FloatArray | float
) -> Statistics:
    """Median, and one standard deviation's worth of the upper half; by row, over all parts."""
    centre = _by_row(parts, np.median)
    upper = _by_row(parts, lambda values: np.quantile(values, UPPER_QUANTILE))
    floor = np.maximum(relative * np.abs(centre), smallest)
    return centre, np.maximum((upper - centre) / UPPER_SIGMAS, floor).astype(np.float32)


def _level_statistics(parts: Sequence[FloatArray]) -> Statistics:
    shares = [1 - UPPER_QUANTILE, 0.5, UPPER_QUANTILE]
    low, centre, high = _by_row(parts, lambda values: np.quantile(values, shares)).T
    spread = np.maximum((high - low) / (2 * UPPER_SIGMAS), SMALLEST_LEVEL_SPREAD_DB)
    return centre.astype(np.float32), spread.astype(np.float32)


def _some(statistics: RowStatistics, rows: slice) -> RowStatistics:
    return RowStatistics(statistics.centre[rows], statistics.spread[rows])


def _joined(parts: Sequence[Statistics]) -> RowStatistics:
    centres, spreads = (np.concatenate(each) for each in zip(*parts, strict=True))
    return RowStatistics([float(x) for x in centres], [float(x) for x in spreads])
