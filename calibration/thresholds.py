"""Thresholds from normal sound that is not in the bank.

A bank's distance to its own sound is biased low, so whole stretches are held out, never shuffled
frames: neighbours in time are alike. On them each scale and row gets its statistics, and the
largest of the scales, column by column, is the decision statistic: the alarm level is what its
tail reaches as often as was asked for.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.scale_fit import COLUMNS_AT_ONCE, HeldOut, learn_scales, some_rows
from calibration.tail_fit import block_columns, block_maxima, fit_tail
from edge.evidence import ALARM, Evidence, Thresholds
from edge.scales import LOCAL_COLUMNS, SLOW_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibration.scale_fit import Segment
    from edge.evidence import Weighed

    FloatArray = NDArray[np.float32]

# 80 ms to 0.7 s against the seconds around; 3 s to a minute against all normal sound.
RECENT_SCALES = (1, 3, 9)
NORMAL_SCALES = (37, 125, 751)
# A long average is steadier than the bank it rests on: another bank, of the same sound, moves it.
SMALLEST_SHARE_OF_LOCAL = 0.2  # of the local spread
FEWEST_WINDOWS = 10  # of a long scale in the held-out sound; with fewer it can't be judged
LEAST_LASTING_S = 90.0  # of held-out sound: less says nothing about what lasts
RELEASE = 0.6
QUIET_COLUMNS = 12  # about a second: alarms nearer than that are one
SMALLEST_ALARM = 0.1


def learn_thresholds(
    segments: Sequence[Segment], column_s: float, false_alarms_per_day: float = 1.0
) -> Thresholds:
    """Row statistics of each scale, and the alarm level of the largest of them.

    Args:
        segments: held-out normal sound.
        column_s: duration of a column.
        false_alarms_per_day: how often normal sound may reach the alarm level.
    """
    rows = segments[0].distances.shape[1]
    per_day = false_alarms_per_day
    as_it_is = partial(some_rows, segments)
    (local,) = learn_scales(as_it_is, rows, [LOCAL_COLUMNS], "normal", column_s, per_day)
    floor = np.asarray(local.distance.spread, np.float32) * np.float32(SMALLEST_SHARE_OF_LOCAL)
    heard, scales = HeldOut(segments, local), [local]
    for columns in NORMAL_SCALES:
        fewest = max(FEWEST_WINDOWS, LEAST_LASTING_S / columns / column_s)
        if _windows(segments, columns) < fewest:
            continue
        # What is loud by itself is left to the local scale by longer ones.
        hear = heard.calmed if columns > SLOW_COLUMNS else heard.limited
        scales += learn_scales(hear, rows, [columns], "normal", column_s, per_day, floor)
    scales += learn_scales(heard.departed, rows, RECENT_SCALES, "recent", column_s, per_day)
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
    groups, count = thresholds.groups(), len(segment.distances)
    evidence = Evidence(thresholds, groups, segment.distances.shape[1])
    curves: list[list[FloatArray]] = [[] for _ in groups]
    for at in range(0, count, COLUMNS_AT_ONCE):
        part = slice(at, at + COLUMNS_AT_ONCE)
        _append_largest(curves, evidence.push(segment.distances[part], segment.levels_db[part]))
    _append_largest(curves, evidence.finish())
    return np.asarray(np.max([np.concatenate(curve) for curve in curves], axis=0))


def _append_largest(curves: list[list[FloatArray]], found: list[Weighed]) -> None:
    for curve, weighed in zip(curves, found, strict=True):
        curve.append(weighed.evidence.max(axis=1))


def alarms_in(thresholds: Thresholds, segment: Segment) -> int:
    """How often a stretch rises to the alarm level; near ones count once."""
    loud = np.flatnonzero(decision_statistic(thresholds, segment) >= ALARM)
    return int(len(loud) and 1 + np.count_nonzero(np.diff(loud) > QUIET_COLUMNS))


def _with_alarm(unscaled: Thresholds, segments: Sequence[Segment], column_s: float) -> Thresholds:
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
