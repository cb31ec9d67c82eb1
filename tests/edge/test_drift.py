"""A calibration that ages is told apart from alarms, and seldom by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.drift import RECOVERY_STEPS, STEP_S, Drift
from edge.tail import Tail

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMN_S, BLOCK = 0.08, 13  # columns in a block of about a second
STEP = round(STEP_S / COLUMN_S)
HOUR_STEPS = 360


def tail() -> Tail:
    """Of block maxima that are uniform between 0 and 1."""
    return Tail(
        block_s=BLOCK * COLUMN_S, blocks=500, levels=list(np.linspace(0, 1, 65)),
        threshold=0.85, share_above=0.15, shape=0.1, scale=0.05,
    )  # fmt: skip


def sound(maxima: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns whose first block in each step reaches the given maximum."""
    columns = np.zeros((len(maxima), STEP))
    columns[:, BLOCK // 2] = maxima
    return columns.ravel()


def steps_to_ageing(maxima: NDArray[np.float64]) -> int | None:
    drift = Drift(tail(), COLUMN_S)
    for step, largest in enumerate(maxima, start=1):
        drift.push(sound(np.asarray([largest])))
        if drift.ageing:
            return step
    return None


@pytest.mark.parametrize("seed", range(4))
def test_two_days_of_ordinary_sound_ages_nothing(seed: int) -> None:
    maxima = np.random.default_rng(seed).random(48 * HOUR_STEPS)
    assert steps_to_ageing(maxima) is None


def test_a_calibration_that_was_off_by_a_factor_of_two_is_tolerated() -> None:
    random = np.random.default_rng(1)
    high = random.random(24 * HOUR_STEPS) < 0.48
    assert steps_to_ageing(np.where(high, 0.9, 0.3)) is None


def test_sound_that_moved_away_is_noticed_within_an_hour() -> None:
    found = steps_to_ageing(np.full(HOUR_STEPS, 0.95))
    assert found is not None
    assert 10 < found < HOUR_STEPS


def test_a_single_loud_minute_ages_nothing() -> None:
    maxima = np.random.default_rng(2).random(HOUR_STEPS)
    maxima[100:106] = 50.0
    assert steps_to_ageing(maxima) is None


def test_half_an_hour_of_ordinary_sound_ends_it_and_five_minutes_do_not() -> None:
    drift = Drift(tail(), COLUMN_S)
    drift.push(sound(np.full(HOUR_STEPS, 0.95)))
    assert drift.ageing
    drift.push(sound(np.full(30, 0.3)))
    assert drift.ageing
    drift.push(sound(np.full(RECOVERY_STEPS - 30, 0.3)))
    assert not drift.ageing


@given(st.lists(st.integers(0, 3 * STEP), max_size=8), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_it_makes_no_difference_how_the_stream_is_cut(cuts: list[int], seed: int) -> None:
    scores = np.random.default_rng(seed).random(60 * STEP) + 0.5
    whole, cut = Drift(tail(), COLUMN_S), Drift(tail(), COLUMN_S)
    whole.push(scores)
    for part in np.split(scores, sorted(cuts)):
        cut.push(part)
    assert whole.ageing == cut.ageing
    assert np.array_equal(whole._sums, cut._sums)
