"""Does all of the sound belong together? Two regimes, and stretches that stand out.

Both are judged by the level, the crest factor and the octave levels of each second, in dB, against
what else was heard: medians and median absolute deviations, which a minority can't move (Hampel,
*The influence curve and its role in robust estimation*, 1974). What comes back is the machine's
own cycle: a state that is entered again and again is no regime, and a sound that was also heard at
two other times doesn't stand out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from calibration.figures import BAND_EDGES_HZ

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibration.figures import Figures

    FloatArray = NDArray[np.float64]
    Flags = NDArray[np.bool_]

LOWEST_DBFS = -100.0  # quieter than this is all the same
SIGMA_OF_MAD = 1.4826
# Of real clips (slide rails, pumps, fans, valves, rain) no second goes beyond; of sea waves 4 %:
# clips that fade into silence, or were recorded without high frequencies.
OUTLIER_SIGMAS = 6.0
LEVEL_DB, OTHER_DB = 6.0, 12.0  # the least that counts: of the level, of an octave or the crest
AROUND_S = 60  # a sound that is heard again within this is the same occasion
ELSEWHERE = 2  # other occasions that make it part of the machine
OCCASION_GAP_S = 5
MOST_COMPARED = 4_000
CHUNK = 16
SHORTEST_JUDGED_S = 60
SMOOTHING_S = 5
REGIME_SIGMAS = 5.0
SMALLEST_REGIME_SIGMA_DB = 0.5
MOST_RUNS = 4  # of two regimes; a machine that cycles has more
SHORTEST_REGIME_S, LONG_REGIME_S = 20, 90
REGIME_SHARE, LASTING_SHARE = 0.25, 0.15  # LASTING: of a change that lasts to the end


@dataclass(frozen=True)
class Levels:
    """All recordings by second, one after the other."""

    table: FloatArray  # [seconds, dimensions]: level, crest factor, octaves; dB
    names: list[str]  # of the dimensions
    owner: NDArray[np.int64]  # [seconds]: which recording
    row: NDArray[np.int64]  # [seconds]: which of its seconds

    def __len__(self) -> int:
        return len(self.table)


@dataclass(frozen=True)
class Regimes:
    """A lasting change."""

    louder: Flags  # [seconds]
    dimension: int
    runs: list[tuple[int, int]]  # first second and the one after the last


def levels_of(figures: Sequence[Figures], dead: Sequence[Flags]) -> Levels:
    """The levels of every second that holds sound."""
    octaves = [f"{low:.0f}-{2 * low:.0f} Hz" for low in BAND_EDGES_HZ[:-1]]
    kept = [np.flatnonzero(~off) for off in dead]
    parts = [
        np.column_stack(
            [own.level_dbfs, own.seconds["crest_db"], own.seconds["bands_dbfs"]]
        )[rows]
        for own, rows in zip(figures, kept, strict=True)
    ]  # fmt: skip
    table = np.concatenate(parts)
    table[:, 2:] = np.maximum(table[:, 2:], LOWEST_DBFS)
    full = ~np.isnan(table).any(axis=0) if len(table) else np.ones(table.shape[1], bool)
    names = ["level", "crest factor", *octaves]
    owner = np.repeat(np.arange(len(kept)), [len(rows) for rows in kept])
    return Levels(
        table[:, full],
        [n for n, use in zip(names, full, strict=True) if use],
        owner,
        np.concatenate(kept),
    )


def find_regimes(levels: Levels) -> Regimes | None:
    """The two long stretches that the sound falls into, if it does."""
    if len(levels) < SHORTEST_JUDGED_S:
        return None
    best: tuple[float, Regimes] | None = None
    for dimension, name in enumerate(levels.names):
        if name == "crest factor":
            continue
        smooth = _smoothed(levels.table[:, dimension], levels.owner)
        threshold, gap_db, distinctness = _two_modes(smooth)
        least_db = LEVEL_DB if name == "level" else OTHER_DB
        if gap_db < least_db or distinctness < REGIME_SIGMAS:
            continue
        louder = _without_short_runs(smooth > threshold)
        runs = _runs(louder)
        if _lasting(louder, runs) and (best is None or distinctness > best[0]):
            best = distinctness, Regimes(louder, dimension, runs)
    return best[1] if best else None


def _smoothed(values: FloatArray, owner: NDArray[np.int64]) -> FloatArray:
    """A running median that doesn't reach from one recording into the next."""
    smooth = np.empty_like(values)
    for number in np.unique(owner):
        own = owner == number
        smooth[own] = ndimage.median_filter(values[own], SMOOTHING_S, mode="nearest")
    return smooth


def _two_modes(values: FloatArray) -> tuple[float, float, float]:
    """The best threshold (Otsu, 1979), and how far apart both sides are, in dB and their sigmas.

    Two halves of one normal distribution are 2.3 sigmas apart, of an even drift 2.7.
    """
    ordered = np.sort(values)
    count = np.arange(1, len(ordered))
    sums = np.cumsum(ordered)
    low_mean, high_mean = sums[:-1] / count, (sums[-1] - sums[:-1]) / (len(ordered) - count)
    between = count * (len(ordered) - count) * (high_mean - low_mean) ** 2
    cut = int(between.argmax()) + 1
    low, high = ordered[:cut], ordered[cut:]
    gap_db = float(np.median(high) - np.median(low))
    sigma_db = max(SMALLEST_REGIME_SIGMA_DB, _sigma(low), _sigma(high))
    threshold = float(ordered[cut - 1] + ordered[cut]) / 2
    return threshold, gap_db, gap_db / sigma_db


def _sigma(values: FloatArray) -> float:
    return SIGMA_OF_MAD * float(np.median(np.abs(values - np.median(values))))


def _runs(states: Flags) -> list[tuple[int, int]]:
    edges = (np.flatnonzero(states[1:] != states[:-1]) + 1).tolist()
    return list(zip([0, *edges], [*edges, len(states)], strict=True))


def _without_short_runs(states: Flags) -> Flags:
    """The shortest run joins its neighbours until none is short."""
    states = states.copy()
    while len(runs := _runs(states)) > 1:
        start, end = min(runs, key=lambda run: run[1] - run[0])
        if end - start >= SMOOTHING_S:
            break
        states[start:end] = ~states[start:end]
    return states


def _lasting(louder: Flags, runs: list[tuple[int, int]]) -> bool:
    """Whether these are long stretches rather than a cycle or something short."""
    if not 1 < len(runs) <= MOST_RUNS:
        return False
    rarer = louder if louder.sum() * 2 <= len(louder) else ~louder
    longest = max(end - start for start, end in runs if rarer[start])
    share = float(rarer.mean())
    lasts = len(runs) == 2 and share >= LASTING_SHARE  # noqa: PLR2004
    return longest >= SHORTEST_REGIME_S and (
        share >= REGIME_SHARE or longest > LONG_REGIME_S or lasts
    )


def find_outliers(levels: Levels, groups: Sequence[Flags]) -> tuple[Flags, FloatArray]:
    """Which seconds stand out from their group, and by how many dB in each dimension.

    Returns:
        [seconds] flags and [seconds, dimensions] deviations from the median, in dB.
    """
    deviations = np.zeros_like(levels.table)
    least_db = np.array([LEVEL_DB if name == "level" else OTHER_DB for name in levels.names])
    flags = np.zeros(len(levels), bool)
    for group in groups:
        if np.count_nonzero(group) < SHORTEST_REGIME_S:
            continue
        table = levels.table[group]
        deviation = table - np.median(table, axis=0)
        mad_db = np.median(np.abs(deviation), axis=0)
        sigma_db = SIGMA_OF_MAD * mad_db
        far = (np.abs(deviation) > np.maximum(least_db, OUTLIER_SIGMAS * sigma_db)).any(axis=1)
        flags[group] = far
        deviations[group] = deviation
    candidates = np.flatnonzero(flags)
    for first in range(0, len(candidates), CHUNK):
        chunk = candidates[first : first + CHUNK]
        flags[chunk] = ~_heard_elsewhere(levels, chunk, np.abs(deviations[chunk]).max(axis=1))
    return flags, deviations


def _heard_elsewhere(
    levels: Levels, seconds: NDArray[np.int64], largest_db: FloatArray
) -> NDArray[np.bool_]:
    """Whether each of some seconds resembles others at two or more occasions.

    Alike means within half of what makes it stand out: the second in which a machine starts is
    only partly as loud as the next.
    """
    step = -(-len(levels) // MOST_COMPARED)
    others = np.arange(0, len(levels), step)
    difference = np.abs(levels.table[others][None] - levels.table[seconds][:, None]).max(axis=2)
    around = min(AROUND_S, len(levels) // 6)
    alike = difference <= np.maximum(LEVEL_DB, largest_db / 2)[:, None]
    alike &= np.abs(others[None] - seconds[:, None]) > around
    return np.array([_occasions(others[row], step) >= ELSEWHERE for row in alike])


def _occasions(seconds: NDArray[np.int64], step: int) -> int:
    gap = max(OCCASION_GAP_S, 2 * step)
    return int(np.count_nonzero(np.diff(seconds) > gap)) + 1 if len(seconds) else 0
