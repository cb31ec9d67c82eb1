"""Thresholds from normal sound that is not in the bank.

A bank's distance to its own sound is biased low, so whole stretches are held out, never shuffled
frames: neighbours in time are alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.evidence import Evidence, MovingAverage, Thresholds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

AVERAGE_COLUMNS = 3  # 0.24 s: the best single scale for short events on real clips
ALARM_MARGIN = 1.15  # over the largest evidence that held-out normal sound reached
RELEASE_RATIO = 0.6
UPPER_QUANTILE, UPPER_SIGMAS = 0.95, 1.645  # of a normal distribution


def learn_thresholds(segments: list[FloatArray], column_s: float) -> Thresholds:
    """Row statistics and the alarm level.

    Args:
        segments: distances of held-out stretches, each [columns, rows].
        column_s: duration of a column.
    """
    averaged = np.concatenate([_averaged(segment) for segment in segments])
    centre = np.median(averaged, axis=0)
    upper = np.quantile(averaged, UPPER_QUANTILE, axis=0)
    spread = np.maximum((upper - centre) / UPPER_SIGMAS, _smallest_spread(centre))
    columns = sum(len(segment) for segment in segments)
    draft = Thresholds(
        row_centre=[float(x) for x in centre],
        row_spread=[float(x) for x in spread],
        average_columns=AVERAGE_COLUMNS,
        alarm=1.0,
        release=1.0,
        held_out_s=round(columns * column_s, 2),
        held_out_max=0.0,
    )
    largest = max(_largest_evidence(draft, segment) for segment in segments)
    alarm = max(ALARM_MARGIN * largest, UPPER_SIGMAS)
    return Thresholds(
        row_centre=draft.row_centre,
        row_spread=draft.row_spread,
        average_columns=AVERAGE_COLUMNS,
        alarm=alarm,
        release=RELEASE_RATIO * alarm,
        held_out_s=draft.held_out_s,
        held_out_max=largest,
    )


def _averaged(segment: FloatArray) -> FloatArray:
    average = MovingAverage(AVERAGE_COLUMNS)
    return np.concatenate([average.push(segment), average.finish()])


def _largest_evidence(draft: Thresholds, segment: FloatArray) -> float:
    evidence = Evidence(draft, segment.shape[1])
    return float(np.concatenate([evidence.push(segment), evidence.finish()]).max())


def _smallest_spread(centre: NDArray[np.float64]) -> NDArray[np.float64]:
    """A row that never varied (a perfect simulation) still needs a unit."""
    return np.asarray(np.maximum(0.01 * np.abs(centre), 1e-6))
