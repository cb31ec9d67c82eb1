"""Thresholds from normal sound that is not in the bank.

A bank's distance to its own sound is biased low, so whole stretches are held out, never shuffled
frames: neighbours in time are alike. On them each scale and row gets its statistics, and the
largest of the scales, column by column, is the decision statistic: the alarm level is what its
tail reaches as often as was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration.tail_fit import block_columns, block_maxima, fit_tail
from edge.evidence import ALARM, Evidence, Thresholds, departure
from edge.scales import (
    LOCAL_COLUMNS,
    SLOW_COLUMNS,
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

# 80 ms to 0.7 s against the seconds around; 3 s to a minute against all normal sound.
RECENT_SCALES = (1, 3, 9)
NORMAL_SCALES = (37, 125, 751)
# A long average is steadier than the bank it rests on: another bank, of the same sound, moves it.
SMALLEST_SHARE_OF_LOCAL = 0.2  # of the local spread
FEWEST_WINDOWS = 10  # of a long scale in the held-out sound; with fewer it can't be judged
LEAST_LASTING_S = 90.0  # of held-out sound: less says nothing about what lasts
RELEASE = 0.6
QUIET_COLUMNS = 12  # about a second: alarms nearer than that are one
UPPER_QUANTILE, UPPER_SIGMAS = 0.95, 1.645  # of a normal distribution
SMALLEST_SPREAD = 0.01  # of the centre: a row that never varied still needs a unit
SMALLEST_LEVEL_SPREAD_DB = 0.4  # a microphone's own drift
SMALLEST_JOINT_SPREAD = 1.0  # a scale that is kept from being too sure is not made so again
SMALLEST_ALARM = 0.1
COLUMNS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Segment:
    """An uninterrupted stretch that the bank it was measured with does not hold."""

    distances: FloatArray  # [columns, rows]
    levels_db: FloatArray  # [columns, rows]


def learn_thresholds(
    segments: Sequence[Segment], column_s: float, false_alarms_per_day: float = 1.0
) -> Thresholds:
    """Row statistics of each scale, and the alarm level of the largest of them.

    Args:
        segments: held-out normal sound.
        column_s: duration of a column.
        false_alarms_per_day: how often normal sound may reach the alarm level.
    """
    local = _learn_scale(segments, LOCAL_COLUMNS, "normal", column_s, false_alarms_per_day)
    floor = np.asarray(local.distance.spread, np.float32) * np.float32(SMALLEST_SHARE_OF_LOCAL)
    scales = [local]  # what is loud by itself is left to it by longer scales
    for columns in NORMAL_SCALES:
        fewest = max(FEWEST_WINDOWS, LEAST_LASTING_S / columns / column_s)
        if _windows(segments, columns) < fewest:
            continue
        calm = _calmed if columns > SLOW_COLUMNS else _limited
        heard = [calm(local, segment) for segment in segments]
        scales.append(_learn_scale(heard, columns, "normal", column_s, false_alarms_per_day, floor))
    heard = [_departed(local, segment) for segment in segments]
    scales += [
        _learn_scale(heard, columns, "recent", column_s, false_alarms_per_day)
        for columns in RECENT_SCALES
    ]
    del heard
    unscaled = Thresholds(
        local=local,
        scales=scales,
        alarm=1.0,
        release=RELEASE,
        false_alarms_per_day=false_alarms_per_day,
        tail=fit_tail(np.zeros(1), column_s),
        held_out_s=round(sum(len(s.distances) for s in segments) * column_s, 2),
    )
    return _with_alarm(unscaled, segments, column_s)


def decision_statistic(thresholds: Thresholds, segment: Segment) -> FloatArray:
    """The largest evidence of each column, over all rows and scales."""
    curves = []
    for scales in (thresholds.fast(), thresholds.slow()):
        if scales:
            evidence = Evidence(thresholds, scales, segment.distances.shape[1])
            parts = [
                evidence.push(segment.distances[part], segment.levels_db[part]).evidence.max(axis=1)
                for part in _parts(len(segment.distances))
            ]
            curves.append(np.concatenate([*parts, evidence.finish().evidence.max(axis=1)]))
    return np.asarray(np.max(curves, axis=0))


def alarms_in(thresholds: Thresholds, segment: Segment) -> int:
    """How often a stretch rises to the alarm level; near ones count once."""
    loud = np.flatnonzero(decision_statistic(thresholds, segment) >= ALARM)
    return int(len(loud) and 1 + np.count_nonzero(np.diff(loud) > QUIET_COLUMNS))


def _with_alarm(unscaled: Thresholds, segments: Sequence[Segment], column_s: float) -> Thresholds:
    import msgspec  # noqa: PLC0415

    curves = [decision_statistic(unscaled, segment) for segment in segments]
    columns = block_columns(curves, column_s)
    maxima = block_maxima(curves, columns)
    raw = fit_tail(maxima, columns * column_s)
    alarm = max(raw.level_of(unscaled.false_alarms_per_day), SMALLEST_ALARM)
    tail = fit_tail(maxima / alarm, columns * column_s)
    return msgspec.structs.replace(unscaled, alarm=alarm, tail=tail)


def _windows(segments: Sequence[Segment], columns: int) -> float:
    """How many independent averages the stretches hold that are long enough."""
    return sum(len(s.distances) for s in segments if len(s.distances) >= columns) / columns


def _parts(count: int) -> list[slice]:
    """A long stretch in parts: it comes out the same, in less memory."""
    return [slice(start, start + COLUMNS_AT_ONCE) for start in range(0, count, COLUMNS_AT_ONCE)]


def _streamed(stream: MovingAverage | MovingMedian | Departure, columns: FloatArray) -> FloatArray:
    """A stretch through a stream, in as many columns as it has."""
    out, done = np.empty_like(columns), 0
    for part in _parts(len(columns)):
        found = stream.push(columns[part])
        out[done : done + len(found)] = found
        done += len(found)
    out[done:] = stream.finish()
    return out


def _limited(local: Scale, segment: Segment) -> Segment:
    calm = _calmed(local, segment)
    stream = ScaleStream(local, segment.distances.shape[1])
    return Segment(*stream.limited(calm.distances, calm.levels_db))


def _calmed(local: Scale, segment: Segment) -> Segment:
    calm = Calm(local, segment.distances.shape[1])
    return Segment(*calm.push(segment.distances, segment.levels_db))


def _departed(local: Scale, segment: Segment) -> Segment:
    rows = segment.distances.shape[1]
    both = side_by_side(segment.distances, segment.levels_db)
    both = _streamed(departure(local, rows), both)
    return Segment(both[:, :rows], both[:, rows:])


def _learn_scale(
    segments: Sequence[Segment],
    columns: int,
    against: Literal["normal", "recent"],
    column_s: float,
    false_alarms_per_day: float,
    smallest: FloatArray | float = 1e-6,
) -> Scale:
    raw = [averaged_over(s.distances, columns) for s in segments]
    levels_db = [averaged_over(s.levels_db, columns) for s in segments]
    distance = upper_statistics(raw, SMALLEST_SPREAD, smallest)
    level = _level_statistics(levels_db)
    for far, loud in zip(raw, levels_db, strict=True):
        for part in _parts(len(far)):  # in its own place: hours of sound are held but twice
            far[part] = added(far[part], loud[part], distance, level, against)
    del levels_db
    joint = upper_statistics(raw, 0.0, SMALLEST_JOINT_SPREAD)
    curves = [_largest(part, joint, columns) for part in raw]
    block = max(columns, block_columns(curves, column_s))
    tail = fit_tail(block_maxima(curves, block), block * column_s)
    return Scale(
        columns=columns,
        against=against,
        distance=_kept(distance),
        level=_kept(level),
        joint=_kept(joint),
        unit=max(tail.level_of(false_alarms_per_day), UPPER_SIGMAS),
    )


def _largest(raw: FloatArray, joint: Statistics, columns: int) -> FloatArray:
    full = fullness(np.arange(len(raw)), columns, len(raw))
    largest = np.empty(len(raw), np.float32)
    for part in _parts(len(raw)):
        largest[part] = ((raw[part] - joint[0]) / joint[1] * full[part]).max(axis=1)
    return largest


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


def _kept(statistics: Statistics) -> RowStatistics:
    return RowStatistics(*([float(x) for x in part] for part in statistics))
