"""Thresholds: what is normal for a row, and a level that normal sound does not reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.thresholds import (
    ALARM_PERIOD_S,
    EULER_GAMMA,
    FEWEST_BLOCKS,
    SCALE_COLUMNS,
    _return_level,
    learn_thresholds,
)
from edge.evidence import ALARM, Evidence, Thresholds

FloatArray = NDArray[np.float32]
COLUMN_S = 0.08
BLOCK = round(1.0 / COLUMN_S)  # columns in a second


@st.composite
def held_out(draw: st.DrawFn) -> list[FloatArray]:
    """Distances of held-out stretches: any lengths, any rows, from steady to heavy-tailed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.integers(1, 16))
    lengths = draw(st.lists(st.integers(1, 200), min_size=1, max_size=4))
    tail = draw(st.sampled_from([0.0, 0.1, 1.0]))
    level = random.uniform(0.0, 3.0, rows)
    return [
        np.asarray(level + tail * random.standard_exponential((n, rows)), np.float32)
        for n in lengths
    ]


def evidence(thresholds: Thresholds, segment: FloatArray) -> FloatArray:
    stream = Evidence(thresholds, segment.shape[1])
    return np.concatenate([stream.push(segment), stream.finish()])


def largest_evidence(thresholds: Thresholds, segments: list[FloatArray]) -> float:
    return max(float(evidence(thresholds, segment).max()) for segment in segments)


@given(held_out())
@settings(max_examples=100, deadline=None)
def test_the_alarm_is_never_below_what_was_held_out(segments: list[FloatArray]) -> None:
    for scale in learn_thresholds(segments, COLUMN_S).scales:
        assert scale.alarm >= scale.held_out_max
        assert np.isfinite([*scale.row_centre, *scale.row_spread, scale.alarm]).all()
        assert min(*scale.row_spread, scale.alarm) > 0


@pytest.mark.parametrize("seed", range(5))
def test_held_out_sound_raises_no_alarm(seed: int) -> None:
    random = np.random.default_rng(seed)
    segments = [np.asarray(random.gamma(4, 1, (125, 16)), np.float32) for _ in range(3)]
    assert largest_evidence(learn_thresholds(segments, COLUMN_S), segments) < ALARM


@pytest.mark.parametrize("lengths", [(1,), (1, 1), (1, 300), (BLOCK + 1,)])
def test_tiny_segments_give_thresholds_under_which_they_are_normal(
    lengths: tuple[int, ...],
) -> None:
    random = np.random.default_rng(6)
    segments = [np.asarray(random.gamma(4, 1, (n, 8)), np.float32) for n in lengths]
    thresholds = learn_thresholds(segments, COLUMN_S)
    long_enough = [n for n in SCALE_COLUMNS[1:] if sum(lengths) >= FEWEST_BLOCKS * n]
    assert [scale.columns for scale in thresholds.scales] == [SCALE_COLUMNS[0], *long_enough]
    assert largest_evidence(thresholds, segments) < ALARM


def test_a_knock_that_always_came_alike_is_normal() -> None:
    """Every second has the same largest deviation, so the fit has no width at all."""
    segment = np.ones((20 * BLOCK, 4), np.float32)
    segment[BLOCK // 2 :: BLOCK] = 5.0
    thresholds = learn_thresholds([segment], COLUMN_S)
    assert largest_evidence(thresholds, [segment]) < ALARM


def test_rows_that_never_varied_have_a_unit_and_notice_a_change() -> None:
    segment = np.tile(np.array([0.0, 1.0, 30.0], np.float32), (200, 1))
    thresholds = learn_thresholds([segment], COLUMN_S)
    assert largest_evidence(thresholds, [segment]) < ALARM
    changed = segment.copy()
    changed[100:104] *= 1.5
    assert evidence(thresholds, changed)[100:104, 1:].min() > ALARM


def test_a_row_is_measured_against_itself_and_not_against_louder_rows() -> None:
    random = np.random.default_rng(7)
    quiet, loud = random.normal(1, 0.1, 500), random.normal(10, 2, 500)
    segment = np.asarray(np.stack([quiet, loud], axis=1), np.float32)
    thresholds = learn_thresholds([segment], COLUMN_S)
    strange = segment.copy()
    strange[250:253, 0] = 5.0  # half of what is normal in the other row
    found = evidence(thresholds, strange)
    assert found[251, 0] > ALARM
    assert found[:, 1].max() < ALARM


def test_centre_and_spread_are_those_of_a_normal_distribution() -> None:
    random = np.random.default_rng(8)
    segment = np.asarray(random.normal(7, 2, (60_000, 1)), np.float32)
    shortest = learn_thresholds([segment], COLUMN_S).scales[0]
    assert shortest.row_centre[0] == pytest.approx(7, abs=0.05)
    assert shortest.row_spread[0] == pytest.approx(2 / np.sqrt(SCALE_COLUMNS[0]), rel=0.05)


def test_the_return_level_of_a_gumbel_sample_is_the_distribution_s_own() -> None:
    location, beta, blocks = 3.0, 0.7, 86_400.0
    sample = np.random.default_rng(9).gumbel(location, beta, 100_000)
    exact = location - beta * np.log(-np.log1p(-1.0 / blocks))
    assert _return_level(sample, blocks) == pytest.approx(exact, rel=0.02)


def test_the_return_level_is_exceeded_once_in_so_many_blocks() -> None:
    random = np.random.default_rng(10)
    level = _return_level(random.gumbel(0.0, 1.0, 2_000), 100.0)
    exceeded = np.count_nonzero(random.gumbel(0.0, 1.0, 100_000) > level)
    assert 700 <= exceeded <= 1_300


def test_the_return_level_grows_with_the_period() -> None:
    sample = np.random.default_rng(11).gumbel(size=500)
    levels = [_return_level(sample, blocks) for blocks in (10.0, 1_000.0, 86_400.0)]
    assert levels == sorted(set(levels))


def test_the_alarm_is_what_a_day_of_such_sound_reaches_about_once() -> None:
    """Row 0 of the shortest scale, blocks of a second, fitted by hand; each scale has its share."""
    random = np.random.default_rng(12)
    segment = np.asarray(random.gamma(9, 1, (2_000 * BLOCK, 1)), np.float32)
    scale = learn_thresholds([segment], COLUMN_S).scales[0]
    kept = np.convolve(segment[:, 0], np.ones(3) / 3, "same")
    kept[0], kept[-1] = segment[:2].mean(), segment[-2:].mean()
    deviations = (kept - scale.row_centre[0]) / scale.row_spread[0]
    maxima = deviations.reshape(-1, BLOCK).max(axis=1)
    beta = maxima.std() * np.sqrt(6) / np.pi
    blocks = ALARM_PERIOD_S * len(SCALE_COLUMNS) / (BLOCK * COLUMN_S)
    expected = maxima.mean() - EULER_GAMMA * beta + beta * np.log(blocks)
    assert scale.alarm == pytest.approx(expected, rel=1e-3)
    assert scale.held_out_max == pytest.approx(maxima.max(), rel=1e-3)


def test_no_average_reaches_across_two_stretches() -> None:
    """Each stretch alone is constant; only a mixture of both would show values between."""
    low, high = np.full((100, 1), 1.0, np.float32), np.full((101, 1), 2.0, np.float32)
    for scale in learn_thresholds([low, high], COLUMN_S).scales:
        assert scale.row_centre == [2.0]


def test_the_held_out_time_is_reported() -> None:
    segments = [np.ones((25, 2), np.float32), np.ones((100, 2), np.float32)]
    assert learn_thresholds(segments, COLUMN_S).held_out_s == 10.0
