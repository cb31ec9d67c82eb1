"""The tail: how often normal sound reaches a score, and the score that it reaches so often."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.tail import DAY_S, RAREST_PER_DAY, Tail


@st.composite
def tails(draw: st.DrawFn) -> Tail:
    """Rising levels whose counted part meets the fitted one at the threshold."""
    steps = draw(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=64))
    levels = np.cumsum(steps).tolist()
    share_above = draw(st.floats(0.02, 0.5))
    return Tail(
        block_s=draw(st.floats(0.5, 20.0)),
        blocks=draw(st.integers(20, 5_000)),
        levels=levels,
        threshold=levels[-1],
        share_above=share_above,
        shape=draw(st.one_of(st.just(0.0), st.floats(0.01, 0.5))),
        scale=draw(st.floats(0.01, 2.0)),
    )


scores = st.floats(-10.0, 1e4)
EXPONENTIAL = Tail(
    block_s=1.0, blocks=100, levels=[0.0, 0.5], threshold=0.5, share_above=0.5, shape=0.0, scale=2.0
)
PARETO = msgspec.structs.replace(EXPONENTIAL, shape=0.25)


@given(tails(), scores, scores)
@settings(max_examples=200, deadline=None)
def test_a_higher_score_is_never_more_frequent(tail: Tail, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert tail.per_day(low) >= tail.per_day(high)


@given(tails(), scores)
@settings(max_examples=100, deadline=None)
def test_no_rate_is_above_one_a_block_or_below_what_could_be_told(tail: Tail, score: float) -> None:
    assert RAREST_PER_DAY <= tail.per_day(score) <= DAY_S / tail.block_s


@given(tails(), st.floats(1e-5, 0.999))
@settings(max_examples=200, deadline=None)
def test_the_level_of_a_rate_is_reached_at_that_rate(tail: Tail, share: float) -> None:
    per_day = share * DAY_S / tail.block_s
    assert tail.per_day(tail.level_of(per_day)) == pytest.approx(per_day, rel=1e-6)


@given(tails(), st.floats(0.001, 1.0))
@settings(max_examples=200, deadline=None)
def test_the_rate_of_a_score_leads_back_to_the_score(tail: Tail, place: float) -> None:
    """Up to a few spreads beyond the threshold, where rates are still told apart."""
    score = tail.levels[0] + place * (tail.threshold + 5 * tail.scale - tail.levels[0])
    assert tail.level_of(tail.per_day(score)) == pytest.approx(score, rel=1e-6, abs=1e-6)


@given(tails(), st.floats(1e-5, 1.0), st.floats(1e-5, 1.0))
@settings(max_examples=200, deadline=None)
def test_a_rarer_level_is_never_lower(tail: Tail, one: float, other: float) -> None:
    rare, frequent = sorted((one, other))
    a_day = DAY_S / tail.block_s
    assert tail.level_of(rare * a_day) >= tail.level_of(frequent * a_day) - 1e-9


@pytest.mark.parametrize(
    ("tail", "share"),
    [(EXPONENTIAL, 0.5 * math.exp(-2.0)), (PARETO, 0.5 * (1 + 0.25 * 2.0) ** -4)],
    ids=["exponential", "Pareto"],
)
def test_beyond_the_threshold_the_rate_is_that_of_the_distribution(
    tail: Tail, share: float
) -> None:
    assert tail.per_day(0.5 + 2.0 * tail.scale) == pytest.approx(share * DAY_S)


def test_below_the_threshold_the_blocks_are_counted() -> None:
    assert EXPONENTIAL.per_day(0.25) == pytest.approx(0.75 * DAY_S)
    assert EXPONENTIAL.per_day(-1.0) == DAY_S


def test_twice_as_long_blocks_are_half_as_many_in_a_day() -> None:
    longer = msgspec.structs.replace(EXPONENTIAL, block_s=2.0)
    assert longer.per_day(3.0) == pytest.approx(EXPONENTIAL.per_day(3.0) / 2)


@pytest.mark.parametrize(("per_day", "beyond"), [(863.0, True), (865.0, False)])
def test_a_rate_below_one_in_all_that_was_heard_is_extrapolated(
    per_day: float, beyond: bool
) -> None:
    assert EXPONENTIAL.is_extrapolated(per_day) is beyond


def test_what_no_sound_reaches_has_the_rarest_rate_that_is_told() -> None:
    assert EXPONENTIAL.per_day(1e9) == RAREST_PER_DAY
