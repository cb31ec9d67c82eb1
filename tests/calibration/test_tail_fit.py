"""The fitted tail: what it promises, and what so few samples can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.tail_fit import (
    LONGEST_BLOCK_S,
    SHORTEST_BLOCK_S,
    block_columns,
    block_maxima,
    fit_tail,
    promise_of,
)
from edge.tail import DAY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge.tail import Tail

    Samples = NDArray[np.float64]

COLUMN_S, BLOCK_S = 0.08, 1.0
SEEDS = range(150)
BLOCKS = 1_000
PER_DAY = 8.64  # once in ten thousand blocks: ten times as rare as anything in the sample
SHARE = PER_DAY * BLOCK_S / DAY_S


def gaussian_share(score: float) -> float:
    """Of a standard normal distribution, what lies above."""
    from scipy.special import erfc  # noqa: PLC0415

    return float(0.5 * erfc(score / np.sqrt(2)))


def pareto_share(score: float) -> float:
    return float(max(score, 1.0) ** -5.0)


def exponential_share(score: float) -> float:
    return float(np.exp(-max(score, 0.0)))


Draw = "Callable[[np.random.Generator, int], Samples]"
DISTRIBUTIONS: dict[str, tuple[Callable[..., Samples], Callable[[float], float]]] = {
    "exponential": (lambda random, n: random.exponential(size=n), exponential_share),
    "Pareto": (lambda random, n: 1.0 + random.pareto(5.0, n), pareto_share),
}
GAUSSIAN: tuple[Callable[..., Samples], Callable[[float], float]] = (
    lambda random, n: random.standard_normal(n),
    gaussian_share,
)
EACH = pytest.mark.parametrize(("draw", "share"), DISTRIBUTIONS.values(), ids=DISTRIBUTIONS.keys())


def fitted(draw: Callable[..., Samples], seed: int, blocks: int = BLOCKS) -> Tail:
    return fit_tail(draw(np.random.default_rng(seed), blocks), BLOCK_S)


@EACH
def test_the_achieved_rate_is_within_a_factor_of_two_of_the_promise_in_the_median(
    draw: Callable[..., Samples], share: Callable[[float], float]
) -> None:
    achieved = [share(fitted(draw, seed).level_of(PER_DAY)) / SHARE for seed in SEEDS]
    assert 0.5 <= float(np.median(achieved)) <= 2.0


def test_a_tail_that_falls_faster_than_any_that_is_fitted_keeps_more_than_was_promised() -> None:
    draw, share = GAUSSIAN
    achieved = [share(fitted(draw, seed).level_of(PER_DAY)) / SHARE for seed in SEEDS]
    assert float(np.quantile(achieved, 0.9)) < 1.0


@EACH
def test_the_interval_covers_the_truth_in_most_seeds(
    draw: Callable[..., Samples], share: Callable[[float], float]
) -> None:
    covered = 0
    for seed in SEEDS:
        tail = fitted(draw, seed)
        score = tail.level_of(PER_DAY)
        promise = promise_of(tail, score)
        covered += promise.low <= share(score) * DAY_S / BLOCK_S <= promise.high
    assert covered > 0.5 * len(SEEDS)


def test_a_promise_lies_in_its_interval_and_counts_its_samples() -> None:
    tail = fitted(DISTRIBUTIONS["exponential"][0], 1)
    promise = promise_of(tail, tail.level_of(PER_DAY))
    assert promise.per_day == pytest.approx(PER_DAY)
    assert promise.low < promise.per_day < promise.high
    assert promise.samples == BLOCKS


def test_more_sound_narrows_the_interval() -> None:
    widths = []
    for blocks in (100, 1_000, 10_000):
        tail = fitted(DISTRIBUTIONS["exponential"][0], 2, blocks)
        promise = promise_of(tail, tail.level_of(PER_DAY))
        widths.append(np.log(promise.high / promise.low))
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("per_day", "extrapolated"), [(1.0, True), (2_000.0, False)])
def test_a_promise_says_whether_it_goes_beyond_what_was_heard(
    per_day: float, extrapolated: bool
) -> None:
    tail = fitted(DISTRIBUTIONS["exponential"][0], 3)
    assert promise_of(tail, tail.level_of(per_day)).extrapolated is extrapolated


def test_the_same_tail_gives_the_same_promise_again() -> None:
    tail = fitted(DISTRIBUTIONS["Pareto"][0], 4)
    assert promise_of(tail, 3.0) == promise_of(tail, 3.0)


@st.composite
def samples(draw: st.DrawFn) -> Samples:
    """Any number of scores, from steady to heavy-tailed, many of them alike."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 400))
    scores = random.pareto(draw(st.sampled_from([0.8, 3.0, 30.0])), count)
    return np.asarray(np.round(scores, draw(st.integers(0, 6))))


@given(samples(), st.floats(0.01, 10_000.0))
@settings(max_examples=100, deadline=None)
def test_any_scores_give_a_tail_of_finite_numbers_that_never_ends(
    scores: Samples, per_day: float
) -> None:
    tail = fit_tail(scores, BLOCK_S)
    numbers = [*tail.levels, tail.threshold, tail.share_above, tail.scale, tail.level_of(per_day)]
    assert np.isfinite(numbers).all()
    assert tail.levels == sorted(tail.levels)
    assert tail.scale > 0
    assert 0 <= tail.shape <= 0.5
    assert tail.blocks == len(scores)


@given(st.integers(0, 2**32), st.sampled_from([50, 1_000, 40_000]))
@settings(max_examples=30, deadline=None)
def test_a_rarer_level_of_a_fitted_tail_is_never_lower(seed: int, blocks: int) -> None:
    """Where the counted part meets the fitted one, too."""
    tail = fitted(DISTRIBUTIONS["exponential"][0], seed, blocks)
    levels = [tail.level_of(share * DAY_S) for share in np.geomspace(1.0, 1e-6, 200)]
    assert (np.diff(levels) >= -1e-9).all()


def test_a_rate_that_was_heard_is_counted() -> None:
    scores = np.random.default_rng(5).gamma(3.0, 1.0, 2_000)
    level = fit_tail(scores, BLOCK_S).level_of(0.3 * DAY_S)
    assert np.mean(scores > level) == pytest.approx(0.3, abs=0.01)


def test_scores_that_never_varied_have_a_level_above_them() -> None:
    tail = fit_tail(np.full(50, 3.0), BLOCK_S)
    assert 3.0 < tail.level_of(1.0) < 4.0


def smoothed(columns: int, length: int = 40_000) -> NDArray[np.float32]:
    noise = np.random.default_rng(columns).standard_normal(length + columns)
    return np.convolve(noise, np.ones(columns), "valid").astype(np.float32)


def test_scores_that_remember_longer_give_longer_blocks() -> None:
    blocks = [block_columns([smoothed(columns)], COLUMN_S) for columns in (10, 30, 90)]
    assert blocks == sorted(set(blocks))
    assert all(columns <= block <= 3 * columns for columns, block in zip((10, 30, 90), blocks))  # noqa: B905


@pytest.mark.parametrize(
    ("curve", "block_s"),
    [(smoothed(1), SHORTEST_BLOCK_S), (smoothed(4_000), LONGEST_BLOCK_S)],
    ids=["forgets at once", "never forgets"],
)
def test_blocks_have_a_shortest_and_a_longest_length(
    curve: NDArray[np.float32], block_s: float
) -> None:
    assert block_columns([curve], COLUMN_S) == round(block_s / COLUMN_S)


@pytest.mark.parametrize("length", [0, 1, 3, 5])
def test_a_stretch_too_short_to_tell_gives_some_block(length: int) -> None:
    assert block_columns([np.zeros(length, np.float32)], COLUMN_S) >= 1


def test_only_whole_blocks_count_where_there_are_any() -> None:
    long, short = np.arange(10, dtype=np.float32), np.array([99.0], np.float32)
    assert block_maxima([long, short], 4).tolist() == [3.0, 7.0]


def test_of_stretches_shorter_than_a_block_each_counts() -> None:
    curves = [np.array([1.0, 5.0], np.float32), np.array([3.0], np.float32)]
    assert block_maxima(curves, 4).tolist() == [5.0, 3.0]
