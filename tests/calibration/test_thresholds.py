"""Thresholds: what is normal for a row and scale, and a level that normal sound does not reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from numpy.typing import NDArray

import calibration.thresholds as thresholds_module
from calibration.scale_fit import Segment
from calibration.thresholds import (
    FEWEST_WINDOWS,
    LEAST_LASTING_S,
    NORMAL_SCALES,
    RECENT_SCALES,
    alarms_in,
    decision_statistic,
    learn_thresholds,
)
from edge.evidence import ALARM, Evidence, Thresholds
from edge.scales import LOCAL_COLUMNS, Calm

FloatArray = NDArray[np.float32]
Samples = NDArray[np.float32] | NDArray[np.float64]
COLUMN_S, DAY_S = 0.08, 86_400.0
MINUTE = round(60 / COLUMN_S)  # columns
LEVEL_DB = -40.0


def segment(distances: Samples, levels_db: Samples | float = LEVEL_DB) -> Segment:
    levels = np.broadcast_to(np.asarray(levels_db, np.float32), distances.shape)
    return Segment(np.asarray(distances, np.float32), levels.copy())


def gamma(columns: int, seed: int, rows: int = 4) -> Segment:
    """Sound whose distances and levels vary by themselves."""
    random = np.random.default_rng(seed)
    levels_db = random.normal(LEVEL_DB, 1.5, (columns, rows)).astype(np.float32)
    return segment(random.gamma(9.0, 0.1, (columns, rows)), levels_db)


@st.composite
def held_out(draw: st.DrawFn) -> list[Segment]:
    """Held-out stretches: any lengths, any rows, from steady to heavy-tailed."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.integers(1, 16))
    lengths = draw(st.lists(st.integers(1, 200), min_size=1, max_size=4))
    tail = draw(st.sampled_from([0.0, 0.1, 1.0]))
    normal = random.uniform(0.0, 3.0, rows)
    return [
        segment(
            normal + tail * random.standard_exponential((n, rows)),
            LEVEL_DB + 10 * tail * random.standard_normal((n, rows)),
        )
        for n in lengths
    ]


def alarming(thresholds: Thresholds, segments: list[Segment]) -> float:
    """The share of columns at the alarm level."""
    curves = [decision_statistic(thresholds, s) for s in segments]
    return float(np.mean(np.concatenate(curves) >= ALARM))


def largest(thresholds: Thresholds, segments: list[Segment]) -> float:
    return max(float(decision_statistic(thresholds, s).max()) for s in segments)


@given(held_out())
@settings(max_examples=40, deadline=None)
def test_any_sound_gives_finite_statistics_and_positive_units(segments: list[Segment]) -> None:
    thresholds = learn_thresholds(segments, COLUMN_S)
    for scale in (thresholds.local, *thresholds.scales):
        for rows in (scale.distance, scale.level, scale.joint):
            assert np.isfinite([*rows.centre, *rows.spread]).all()
            assert min(rows.spread) > 0
        assert 0 < scale.unit < np.inf
    assert 0 < thresholds.alarm < np.inf


@pytest.mark.parametrize("seed", range(3))
def test_held_out_sound_raises_no_alarm(seed: int) -> None:
    segments = [gamma(MINUTE, 10 * seed + part) for part in range(4)]
    assert largest(learn_thresholds(segments, COLUMN_S), segments) < ALARM


def test_more_of_the_same_sound_raises_no_alarm() -> None:
    thresholds = learn_thresholds([gamma(2 * MINUTE, part) for part in range(4)], COLUMN_S)
    assert largest(thresholds, [gamma(MINUTE, 100 + take) for take in range(10)]) < ALARM


def test_a_rate_that_can_be_counted_is_kept_on_more_of_the_same_sound() -> None:
    per_day = 2_880.0  # two a minute
    segments = [gamma(2 * MINUTE, part) for part in range(4)]
    thresholds = learn_thresholds(segments, COLUMN_S, per_day)
    minutes = 20
    alarms = sum(alarms_in(thresholds, gamma(MINUTE, 100 + take)) for take in range(minutes))
    assert 0.5 <= alarms / minutes / (per_day / 1_440) <= 2.0


def test_the_tail_promises_the_rate_that_was_asked_for_at_the_alarm_level() -> None:
    segments = [gamma(2 * MINUTE, part) for part in range(4)]
    for per_day in (0.1, 1.0, 100.0):
        thresholds = learn_thresholds(segments, COLUMN_S, per_day)
        assert thresholds.tail.per_day(ALARM) == pytest.approx(per_day, rel=0.02)
        assert thresholds.false_alarms_per_day == per_day


def test_a_rarer_false_alarm_needs_stronger_evidence() -> None:
    segments, strange = [gamma(2 * MINUTE, part) for part in range(4)], gamma(MINUTE, 9)
    strange.distances[300:310] += 2.0
    scores = [
        largest(learn_thresholds(segments, COLUMN_S, per_day), [strange])
        for per_day in (100.0, 1.0, 0.01)
    ]
    assert scores == sorted(set(scores), reverse=True)


@pytest.mark.parametrize(
    "lengths", [(1,), (1, 1), (1, 300), (14,), (3, 8 * 37), (1_130,), (600, 600), (100,) * 20]
)
def test_a_long_scale_is_judged_only_by_stretches_that_hold_it_often_enough(
    lengths: tuple[int, ...],
) -> None:
    thresholds = learn_thresholds([gamma(n, n) for n in lengths], COLUMN_S)
    held = {n: sum(m for m in lengths if m >= n) for n in NORMAL_SCALES}
    long = [
        n
        for n, columns in held.items()
        if columns >= FEWEST_WINDOWS * n and columns * COLUMN_S >= LEAST_LASTING_S
    ]
    normal = [scale.columns for scale in thresholds.scales if scale.against == "normal"]
    assert normal == [LOCAL_COLUMNS, *long]
    recent = [scale.columns for scale in thresholds.scales if scale.against == "recent"]
    assert recent == list(RECENT_SCALES)


@pytest.mark.parametrize("lengths", [(1,), (1, 1), (14,), (1, 300)])
def test_tiny_stretches_give_thresholds_under_which_they_are_normal(
    lengths: tuple[int, ...],
) -> None:
    segments = [gamma(n, n) for n in lengths]
    assert largest(learn_thresholds(segments, COLUMN_S), segments) < ALARM


def test_ten_minutes_are_enough_for_a_scale_of_a_minute() -> None:
    segments = [gamma(2 * MINUTE + 15, part, rows=2) for part in range(5)]
    thresholds = learn_thresholds(segments, COLUMN_S)
    assert [scale.columns for scale in thresholds.slow()] == [125, 751]
    assert [scale.columns for scale in thresholds.fast()] == [3, 37, 1, 3, 9]


def test_a_knock_that_always_came_alike_is_normal() -> None:
    distances = np.ones((20 * 12, 4), np.float32)
    distances[6::12] = 5.0
    thresholds = learn_thresholds([segment(distances)], COLUMN_S)
    assert largest(thresholds, [segment(distances)]) < ALARM


def test_rows_that_never_varied_have_a_unit_and_notice_a_change() -> None:
    steady = np.tile(np.array([0.0, 1.0, 30.0], np.float32), (200, 1))
    thresholds = learn_thresholds([segment(steady)], COLUMN_S)
    assert largest(thresholds, [segment(steady)]) < ALARM
    changed = steady.copy()
    changed[100:104] *= 1.5
    stream = Evidence(thresholds, [thresholds.fast()], 3)
    parts = [*stream.push(*_streams(segment(changed))), *stream.finish()]
    evidence = np.concatenate([part.evidence for part in parts])
    assert evidence[100:104, 1:].min() > ALARM


def _streams(of: Segment) -> tuple[FloatArray, FloatArray]:
    return of.distances, of.levels_db


def test_a_row_is_measured_against_itself_and_not_against_louder_rows() -> None:
    random = np.random.default_rng(7)
    quiet, loud = random.normal(1, 0.1, 2_000), random.normal(10, 2, 2_000)
    distances = np.asarray(np.stack([quiet, loud], axis=1), np.float32)
    thresholds = learn_thresholds([segment(distances)], COLUMN_S)
    distances[250:253, 0] = 5.0  # half of what is normal in the other row
    stream = Evidence(thresholds, [thresholds.fast()], 2)
    found = stream.push(*_streams(segment(distances)))[0].evidence
    assert found[251, 0] > ALARM
    assert found[:, 1].max() < ALARM


def test_centre_and_spread_are_those_of_a_normal_distribution() -> None:
    random = np.random.default_rng(8)
    distances = np.asarray(random.normal(7, 2, (20_000, 1)), np.float32)
    levels_db = np.asarray(random.normal(LEVEL_DB, 3, (20_000, 1)), np.float32)
    local = learn_thresholds([Segment(distances, levels_db)], COLUMN_S).local
    root = np.sqrt(local.columns)
    assert local.distance.centre[0] == pytest.approx(7, abs=0.05)
    assert local.distance.spread[0] == pytest.approx(2 / root, rel=0.05)
    assert local.level.centre[0] == pytest.approx(LEVEL_DB, abs=0.1)
    assert local.level.spread[0] == pytest.approx(3 / root, rel=0.05)


def test_no_average_reaches_across_two_stretches() -> None:
    """Each stretch alone is constant; only a mixture of both would show values between."""
    low, high = np.full((400, 1), 1.0, np.float32), np.full((401, 1), 2.0, np.float32)
    thresholds = learn_thresholds([segment(low), segment(high)], COLUMN_S)
    for scale in thresholds.scales:
        assert scale.distance.centre == ([2.0] if scale.against == "normal" else [0.0])


def test_the_slow_scales_hear_nearly_all_of_normal_sound() -> None:
    """However little neighbouring columns are alike: else the slow scales would be deaf."""
    segments = [gamma(2 * MINUTE, part) for part in range(4)]
    thresholds = learn_thresholds(segments, COLUMN_S)
    sound = gamma(2 * MINUTE, 50)
    heard = Calm(thresholds.local, 4).push(sound.side_by_side())[:, :4]
    assert np.mean((heard == sound.distances).all(axis=1)) > 0.9


def test_near_alarms_are_one() -> None:
    segments = [gamma(2 * MINUTE, part) for part in range(4)]
    thresholds, strange = learn_thresholds(segments, COLUMN_S), gamma(MINUTE, 9)
    assert alarms_in(thresholds, strange) == 0
    for first in (200, 206, 500):
        strange.distances[first : first + 2] += 20.0
    assert alarms_in(thresholds, strange) == 2


def test_the_decision_statistic_is_the_largest_evidence_of_both_stages() -> None:
    thresholds = learn_thresholds([gamma(2 * MINUTE, part) for part in range(4)], COLUMN_S)
    sound = gamma(MINUTE, 9)
    both = decision_statistic(thresholds, sound)
    fast = structs.replace(thresholds, scales=thresholds.fast())
    slow = structs.replace(thresholds, scales=thresholds.slow())
    alone = [decision_statistic(stage, sound) for stage in (fast, slow)]
    assert np.array_equal(both, np.max(alone, axis=0))


def test_long_stretches_go_through_in_parts_and_come_out_the_same_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segments = [gamma(2 * MINUTE, part) for part in range(4)]
    whole = learn_thresholds(segments, COLUMN_S)
    monkeypatch.setattr(thresholds_module, "COLUMNS_AT_ONCE", 97)
    assert learn_thresholds(segments, COLUMN_S) == whole


def test_the_held_out_time_is_reported() -> None:
    segments = [segment(np.ones((25, 2), np.float32)), segment(np.ones((100, 2), np.float32))]
    assert learn_thresholds(segments, COLUMN_S).held_out_s == 10.0
