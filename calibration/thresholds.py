"""Thresholds from normal sound that is not in the bank.

A bank's distance to its own sound is biased low, so whole stretches are held out, never shuffled
frames: neighbours in time are alike. The alarm level is extrapolated from them: the largest
deviation in each block of time follows, roughly, a Gumbel distribution (Coles, *An Introduction to
Statistical Modeling of Extreme Values*, 2001), and the level is what its tail reaches once in
`ALARM_PERIOD_S`. A minute of sound can't prove what a day will bring; more sound says it better.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.evidence import Scale, Thresholds, averages, ceiling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

# On real clips the best single scale for short events was 0.24 s; a worn slide rail stood out most
# at about 3 s.
SCALE_COLUMNS = (3, 37)
FEWEST_BLOCKS = 8  # of a longer scale in the held-out sound; with fewer it can't be judged
ALARM_PERIOD_S = 86_400.0  # normal sound reaches the alarm level about once in this
BLOCK_S = 1.0  # the shortest block whose largest deviation counts as one sample
EULER_GAMMA = 0.5772
SMALLEST_MARGIN = 1.05  # of the alarm level over the largest deviation that was held out
RELEASE = 0.6
UPPER_QUANTILE, UPPER_SIGMAS = 0.95, 1.645  # of a normal distribution
SMALLEST_SPREAD = 0.01  # of the centre: a row that never varied still needs a unit


def learn_thresholds(segments: list[FloatArray], column_s: float) -> Thresholds:
    """Row statistics and the alarm level of each scale.

    Args:
        segments: distances of held-out stretches, each [columns, rows].
        column_s: duration of a column.
    """
    columns = sum(len(segment) for segment in segments)
    shortest = _learn_scale(segments, SCALE_COLUMNS[0], column_s)
    enough = [count for count in SCALE_COLUMNS[1:] if columns >= FEWEST_BLOCKS * count]
    limit = ceiling(shortest)
    limited = [np.minimum(segment, limit) for segment in segments]
    longer = [_learn_scale(limited, count, column_s) for count in enough]
    return Thresholds(
        scales=[shortest, *longer],
        release=RELEASE,
        held_out_s=round(columns * column_s, 2),
    )


def _learn_scale(segments: list[FloatArray], columns: int, column_s: float) -> Scale:
    averaged = [averages(columns, segment) for segment in segments]
    together = np.concatenate(averaged)
    centre = np.median(together, axis=0)
    upper = np.quantile(together, UPPER_QUANTILE, axis=0)
    smallest = np.maximum(SMALLEST_SPREAD * np.abs(centre), 1e-6)
    spread = np.maximum((upper - centre) / UPPER_SIGMAS, smallest)
    block = max(columns, round(BLOCK_S / column_s))
    largest = [((part - centre) / spread).max(axis=1) for part in averaged]
    blocks = [x[i : i + block] for x in largest for i in range(0, len(x), block)]
    whole = [part for part in blocks if len(part) == block] or blocks
    maxima = np.asarray([part.max() for part in whole])
    peak = float(max(part.max() for part in blocks))
    # The largest of the scales counts, so each gets its share of the false alarms.
    period_s = ALARM_PERIOD_S * len(SCALE_COLUMNS)
    level = _return_level(maxima, period_s / (block * column_s))
    return Scale(
        columns=columns,
        row_centre=[float(x) for x in centre],
        row_spread=[float(x) for x in spread],
        held_out_max=peak,
        alarm=max(level, SMALLEST_MARGIN * peak, UPPER_SIGMAS),
    )


def _return_level(maxima: NDArray[np.float64], blocks: float) -> float:
    """What a Gumbel distribution, fitted by its moments, exceeds once in so many blocks."""
    beta = float(maxima.std()) * np.sqrt(6.0) / np.pi
    location = float(maxima.mean()) - EULER_GAMMA * beta
    return float(location + beta * np.log(blocks))
