"""Fitting the tail of normal sound's scores, with what so few samples can tell about it.

Scores of neighbouring columns are alike, so the largest of each block counts as one sample; a
block lasts as long as the scores remember (their integrated autocorrelation time; Sokal, 1997).
The tail is fitted by probability-weighted moments (Hosking and Wallis, *Technometrics*, 1987). Few
samples say little about its shape, so a prior has its part in it (mean 0.1, deviation 0.12: Martins
and Stedinger, *Water Resources Research*, 2000), and a tail that ends is never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.tail import Tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Samples = NDArray[np.float64]

SHORTEST_BLOCK_S, LONGEST_BLOCK_S = 0.5, 20.0
TAIL_SHARE = 0.15  # of the blocks, above the threshold
FEWEST_ABOVE, MOST_ABOVE = 8, 200
PRIOR_SHAPE, PRIOR_DEVIATION = 0.1, 0.12
LEVELS = 65
RESAMPLES, INTERVAL = 200, 0.9
SMALLEST_SCALE = 0.01  # of the threshold: scores that never varied still need a tail


@dataclass(frozen=True)
class Promise:
    """How often normal sound reaches the alarm level, and how sure that is."""

    per_day: float
    low: float  # of the interval
    high: float
    samples: int
    extrapolated: bool


def block_columns(curves: list[FloatArray], column_s: float) -> int:
    """How many columns hold one independent sample."""
    longest = round(LONGEST_BLOCK_S / column_s)
    total, weight = np.zeros(longest), 0.0
    for curve in curves:
        if len(curve) < 4:  # noqa: PLR2004
            continue
        centred = curve.astype(np.float64) - float(np.mean(curve))
        power = np.fft.rfft(centred, 2 * len(centred))
        correlation = np.fft.irfft(np.abs(power) ** 2)[: min(longest, len(centred))]
        total[: len(correlation)] += correlation
        weight += float(correlation[0])
    correlation = total / max(weight, 1e-12)
    ends = np.flatnonzero(correlation < np.exp(-2))
    steps = correlation[1 : int(ends[0]) if len(ends) else longest]
    return int(np.clip(np.ceil(1 + 2 * steps.sum()), round(SHORTEST_BLOCK_S / column_s), longest))


def block_maxima(curves: list[FloatArray], columns: int) -> Samples:
    """The largest score of each whole block; of every stretch shorter than that, too."""
    blocks = [c[i : i + columns] for c in curves for i in range(0, len(c), columns)]
    whole = [block for block in blocks if len(block) == columns] or blocks
    return np.asarray([block.max() for block in whole], np.float64)


def fit_tail(maxima: Samples, block_s: float) -> Tail:
    """The tail of the largest scores of blocks."""
    ordered = np.sort(maxima)
    count = len(ordered)
    above = int(np.clip(round(TAIL_SHARE * count), FEWEST_ABOVE, MOST_ABOVE))
    above = max(1, min(above, count // 2))
    threshold = float(ordered[-above - 1]) if count > 1 else float(ordered[0])
    excesses = ordered[count - above :] - threshold
    shape, scale = _pareto(excesses)
    return Tail(
        block_s=block_s,
        blocks=count,
        levels=_levels(ordered[: count - above] if count > 1 else ordered, threshold),
        threshold=threshold,
        share_above=above / count,
        shape=shape,
        scale=max(scale, SMALLEST_SCALE * max(abs(threshold), 1e-3)),
    )


def promise_of(tail: Tail, score: float, seed: int = 0) -> Promise:
    """How often a score is reached, with the interval that refitted samples of the tail span."""
    random = np.random.default_rng(seed)
    above = max(1, round(tail.share_above * tail.blocks))
    rates = []
    for _ in range(RESAMPLES):
        count = max(1, random.binomial(tail.blocks, tail.share_above))
        uniform = random.random(above)
        drawn = -np.log(uniform) * tail.scale
        if tail.shape:
            drawn = (uniform**-tail.shape - 1) / tail.shape * tail.scale
        shape, scale = _pareto(np.sort(drawn))
        again = msgspec.structs.replace(
            tail, shape=shape, scale=max(scale, 1e-9), share_above=count / tail.blocks
        )
        rates.append(again.per_day(score))
    low, high = np.quantile(rates, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    rate = tail.per_day(score)
    return Promise(rate, float(low), float(high), tail.blocks, tail.is_extrapolated(rate))


def _levels(below: Samples, threshold: float) -> list[float]:
    """Evenly spaced quantiles of what is not in the tail; the last one is the threshold."""
    levels = [float(x) for x in np.quantile(below, np.linspace(0, 1, LEVELS))]
    return [*levels[:-1], threshold]


def _pareto(excesses: Samples) -> tuple[float, float]:
    """Shape and scale from sorted excesses over the threshold."""
    count, mean = len(excesses), float(excesses.mean())
    ranks = (np.arange(count, 0, -1) - 0.65) / count  # the share that reaches each one
    weighted = float(np.mean(ranks * excesses))
    found = 2.0 - mean / max(mean - 2.0 * weighted, 1e-12)
    # As many exceedances as the prior is worth count as much as it does.
    worth = 1.0 / PRIOR_DEVIATION**2
    shape = (worth * PRIOR_SHAPE + count * float(np.clip(found, -0.5, 0.5))) / (worth + count)
    shape = max(0.0, shape)
    return shape, mean * (1.0 - shape)
