"""Thresholds from normal sound that is not in the bank.

A bank's distance to its own sound is biased low, so whole stretches are held out, never shuffled
frames: neighbours in time are alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.evidence import MovingAverage, Scale, Thresholds, deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

# On real clips the best single scale for short events was 0.24 s; a worn slide rail stood out most
# at about 3 s.
SCALE_COLUMNS = (3, 37)
ALARM_MARGIN = 1.15  # over the largest deviation that held-out normal sound reached
RELEASE = 0.6
UPPER_QUANTILE, UPPER_SIGMAS = 0.95, 1.645  # of a normal distribution


def learn_thresholds(segments: list[FloatArray], column_s: float) -> Thresholds:
    """Row statistics and the alarm level of each scale.

    Args:
        segments: distances of held-out stretches, each [columns, rows].
        column_s: duration of a column.
    """
    columns = sum(len(segment) for segment in segments)
    return Thresholds(
        scales=[_learn_scale(segments, count) for count in SCALE_COLUMNS],
        release=RELEASE,
        held_out_s=round(columns * column_s, 2),
    )


def _learn_scale(segments: list[FloatArray], columns: int) -> Scale:
    averaged = np.concatenate([_averaged(segment, columns) for segment in segments])
    centre = np.median(averaged, axis=0)
    upper = np.quantile(averaged, UPPER_QUANTILE, axis=0)
    spread = np.maximum((upper - centre) / UPPER_SIGMAS, _smallest_spread(centre))
    scale = Scale(
        columns=columns,
        row_centre=[float(x) for x in centre],
        row_spread=[float(x) for x in spread],
        held_out_max=0.0,
        alarm=1.0,
    )
    largest = max(float(deviations(scale, segment).max()) for segment in segments)
    alarm = max(ALARM_MARGIN * largest, UPPER_SIGMAS)
    return msgspec.structs.replace(scale, held_out_max=largest, alarm=alarm)


def _averaged(segment: FloatArray, columns: int) -> FloatArray:
    average = MovingAverage(columns)
    return np.concatenate([average.push(segment), average.finish()])


def _smallest_spread(centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """A row that never varied (a perfect simulation) still needs a unit."""
    return np.asarray(np.maximum(0.01 * np.abs(centre), 1e-6))
