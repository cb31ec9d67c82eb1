"""Evidence: moving averages, two scales, and the share that keeps a burst where it was."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.evidence import MOST_SPREADS, Evidence, MovingAverage, Scale, Thresholds, averages

FloatArray = NDArray[np.float32]

CENTRE, SHORT_SPREAD, LONG_SPREAD, ALARM_SPREADS = 1.0, 0.1, 0.02, 5.0
SHORT, LONG = 3, 37
RELEASE = 0.6
LOUD_SPREADS = 50.0
SECOND = 13  # columns, rounded up


def scale(columns: int, spread: float, rows: int) -> Scale:
    return Scale(
        columns=columns,
        row_centre=[CENTRE] * rows,
        row_spread=[spread] * rows,
        held_out_max=3.0,
        alarm=ALARM_SPREADS,
    )


def thresholds(rows: int = 3, *, long: bool = True) -> Thresholds:
    scales = [scale(SHORT, SHORT_SPREAD, rows)]
    if long:
        scales.append(scale(LONG, LONG_SPREAD, rows))
    return Thresholds(scales=scales, release=RELEASE, held_out_s=60.0)


def evidence_of(distances: FloatArray, limits: Thresholds | None = None) -> FloatArray:
    stream = Evidence(limits or thresholds(), distances.shape[1])
    return np.concatenate([stream.push(distances), stream.finish()])


def quiet(columns: int, rows: int = 3) -> FloatArray:
    return np.full((columns, rows), CENTRE, np.float32)


def burst_at(first: int, length: int, spreads: float, columns: int = 120) -> FloatArray:
    distances = quiet(columns)
    distances[first : first + length, 1] += np.float32(spreads * SHORT_SPREAD)
    return distances


def by_definition(columns: int, distances: FloatArray) -> NDArray[np.float64]:
    reach = columns // 2
    wide = distances.astype(np.float64)
    rows = [wide[max(0, i - reach) : i + reach + 1].mean(axis=0) for i in range(len(wide))]
    return np.asarray(rows).reshape(distances.shape)


cuts_of = st.lists(st.integers(0, 120), max_size=10)


@given(
    st.integers(0, 30).map(lambda n: 2 * n + 1),
    st.integers(0, 120),
    st.integers(1, 5),
    cuts_of,
)
@settings(max_examples=150, deadline=None)
def test_a_moving_average_is_its_definition_for_every_chunking(
    columns: int, length: int, rows: int, cuts: list[int]
) -> None:
    distances = np.random.default_rng(length).random((length, rows)).astype(np.float32)
    average = MovingAverage(columns, rows)
    parts = [average.push(block) for block in np.split(distances, sorted(cuts))]
    parts.append(average.finish())
    assert np.allclose(np.concatenate(parts), by_definition(columns, distances), atol=1e-6)
    assert np.array_equal(np.concatenate(parts), averages(columns, distances))


@pytest.mark.parametrize("columns", [0, -1, 2, 36])
def test_an_average_over_an_even_number_of_columns_is_refused(columns: int) -> None:
    with pytest.raises(ValueError, match="odd"):
        MovingAverage(columns, 3)


def test_an_average_waits_only_for_the_columns_that_it_needs() -> None:
    average = MovingAverage(5, 1)
    assert len(average.push(quiet(2, 1))) == 0
    assert len(average.push(quiet(1, 1))) == 1
    assert len(average.push(quiet(10, 1))) == 10
    assert len(average.finish()) == 2


@given(st.integers(0, 120), cuts_of)
@settings(max_examples=80, deadline=None)
def test_streamed_evidence_equals_evidence_at_once_bit_for_bit(
    length: int, cuts: list[int]
) -> None:
    distances = np.random.default_rng(length).gamma(2.0, 1.0, (length, 3)).astype(np.float32)
    stream = Evidence(thresholds(), 3)
    parts = [stream.push(block) for block in np.split(distances, sorted(cuts))]
    parts.append(stream.finish())
    assert np.array_equal(np.concatenate(parts), evidence_of(distances))
    assert len(np.concatenate(parts)) == length


def test_evidence_follows_half_the_longest_scale_later() -> None:
    assert len(Evidence(thresholds(), 3).push(quiet(100))) == 100 - LONG // 2


def test_normal_sound_has_no_evidence() -> None:
    assert np.allclose(evidence_of(quiet(100)), 0.0, atol=1e-4)


def test_evidence_is_one_at_the_alarm_level_of_the_short_scale() -> None:
    steady = quiet(60) + np.float32(ALARM_SPREADS * SHORT_SPREAD)
    evidence = evidence_of(steady, thresholds(long=False))
    assert np.allclose(evidence, 1.0, atol=1e-4)


def test_a_long_scale_finds_a_slow_shift_that_the_short_one_misses() -> None:
    distances = quiet(200)
    distances[60:140, 1] += np.float32(2.0 * SHORT_SPREAD)
    short_only = evidence_of(distances, thresholds(long=False))
    both = evidence_of(distances)
    assert short_only.max() < RELEASE
    assert both[80:120, 1].min() >= 1.0
    assert both[:, [0, 2]].max() < RELEASE


def test_a_slow_shift_has_evidence_only_while_it_lasts() -> None:
    distances = quiet(200)
    distances[60:140, 1] += np.float32(2.0 * SHORT_SPREAD)
    evidence = evidence_of(distances)
    assert evidence[: 60 - SHORT, 1].max() < RELEASE
    assert evidence[140 + SHORT :, 1].max() < RELEASE


def test_a_loud_burst_spreads_no_evidence_to_cells_a_second_away() -> None:
    evidence = evidence_of(burst_at(50, 8, LOUD_SPREADS))
    assert evidence[50:58, 1].max() >= 1.0
    assert np.abs(evidence[: 50 - SECOND, 1]).max() < 0.01
    assert np.abs(evidence[58 + SECOND :, 1]).max() < 0.01


def test_a_slightly_raised_cell_near_a_burst_gets_only_its_own_share() -> None:
    raised = burst_at(50, 8, LOUD_SPREADS)
    raised[58 + SECOND, 1] += np.float32(SHORT_SPREAD)
    evidence = evidence_of(raised)
    assert evidence[58 + SECOND :, 1].max() < RELEASE


@given(st.floats(MOST_SPREADS + 1, 1e4), st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_how_loud_a_burst_is_makes_no_difference_to_cells_away_from_it(
    spreads: float, length: int
) -> None:
    hum = np.random.default_rng(0).normal(0, SHORT_SPREAD / 2, (120, 3)).astype(np.float32)
    louder = evidence_of(burst_at(50, length, spreads) + hum)
    loud = evidence_of(burst_at(50, length, MOST_SPREADS + 5) + hum)
    away = np.r_[0 : 50 - SHORT, 50 + length + SHORT : 120]
    assert np.allclose(louder[away], loud[away], atol=1e-3)


def test_evidence_is_the_larger_of_the_scales_never_less_than_the_short_one() -> None:
    distances = np.random.default_rng(3).gamma(2.0, 0.6, (150, 3)).astype(np.float32)
    both, short_only = evidence_of(distances), evidence_of(distances, thresholds(long=False))
    assert (both >= short_only).all()
    assert (both > short_only).any()


def test_a_sound_with_fewer_rows_is_scored_by_the_lowest_ones() -> None:
    distances = np.random.default_rng(5).gamma(2.0, 1.0, (90, 3)).astype(np.float32)
    assert np.array_equal(
        evidence_of(distances[:, :2], thresholds(rows=3)), evidence_of(distances)[:, :2]
    )


def test_a_sound_shorter_than_every_scale_still_has_evidence_for_each_column() -> None:
    evidence = evidence_of(quiet(1) + np.float32(10 * SHORT_SPREAD))
    assert evidence.shape == (1, 3)
    assert (evidence >= 1.0).all()
