"""One scale: averages of both streams, what they count, and what a slow one hears."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.moving import MovingAverage, MovingMedian
from edge.scales import (
    MOST_SPREADS,
    Calm,
    Scale,
    ScaleStream,
    added,
    fullness,
    moving,
    side_by_side,
)
from tests.edge.normal import (
    CENTRE,
    CENTRE_DB,
    LONG,
    MOMENT,
    ROWS,
    SHORT,
    SLOW,
    SPREAD,
    SPREAD_DB,
    FloatArray,
    Streams,
    noisy,
    quiet,
    raised,
)

LOUD = 10 * SPREAD


def deviations(scale: Scale, streams: Streams) -> FloatArray:
    stream = ScaleStream(scale, streams[0].shape[1])
    stream.push(side_by_side(*streams))
    stream.finish()
    return stream.take(len(streams[0]))


def calmed(streams: Streams, cuts: list[int] | None = None) -> Streams:
    calm = Calm(SHORT, streams[0].shape[1])
    blocks = np.split(side_by_side(*streams), sorted(cuts or []))
    distances, levels_db = np.split(np.concatenate([calm.push(each) for each in blocks]), 2, axis=1)
    return distances, levels_db


@given(st.integers(0, 60).map(lambda n: 2 * n + 1), st.integers(1, 300))
@settings(max_examples=100, deadline=None)
def test_a_window_counts_as_the_root_of_the_share_that_holds_sound(
    columns: int, length: int
) -> None:
    reach = columns // 2
    held = [min(length, i + reach + 1) - max(0, i - reach) for i in range(length)]
    found = fullness(np.arange(length), columns, length)
    assert np.allclose(found[:, 0], np.sqrt(np.array(held) / columns))


def test_before_the_end_is_known_only_the_beginning_counts_less() -> None:
    found = fullness(np.arange(50), 9, None)[:, 0]
    assert (np.diff(found[:5]) > 0).all()
    assert (found[4:] == 1.0).all()


@pytest.mark.parametrize("scale", [SHORT, LONG, MOMENT], ids=lambda s: f"{s.columns} {s.against}")
def test_a_steady_deviation_counts_less_at_both_ends_alike(scale: Scale) -> None:
    distances, levels_db = quiet(90)
    found = deviations(scale, (distances + np.float32(SPREAD), levels_db))[:, 0]
    reach = scale.columns // 2
    assert np.allclose(found[reach : 90 - reach], found[45])
    assert np.allclose(found, found[::-1])
    assert np.allclose(found[:1], found[45] * np.sqrt((reach + 1) / scale.columns))


@pytest.mark.parametrize(
    ("scale", "kind"), [(MOMENT, MovingAverage), (LONG, MovingAverage), (SLOW, MovingMedian)]
)
def test_only_the_slow_scales_take_the_median(
    scale: Scale, kind: type[MovingAverage | MovingMedian]
) -> None:
    assert type(moving(scale.columns, ROWS)) is kind


def one(value: float) -> FloatArray:
    return np.full((1, 1), value, np.float32)


@pytest.mark.parametrize(
    ("against", "db", "deviation"),
    [("recent", 3.0, 5.0), ("recent", -3.0, 2.0), ("normal", 3.0, 5.0), ("normal", -3.0, 5.0)],
)
def test_quieter_sound_is_a_shift_from_normal_but_no_burst(
    against: str, db: float, deviation: float
) -> None:
    assert added(one(2.0), one(db), against)[0, 0] == deviation


def test_both_deviations_are_in_their_own_spreads_and_add_up() -> None:
    distances, levels_db = quiet(30)
    both = distances + np.float32(2 * SPREAD), levels_db + np.float32(3 * SPREAD_DB)
    assert np.allclose(deviations(SHORT, both)[5:25], 5.0, atol=1e-4)


def test_the_excess_is_the_averaged_level_above_normal() -> None:
    stream = ScaleStream(SHORT, ROWS, keeps_excess=True)
    stream.push(side_by_side(*raised(quiet(20), 10, 11, 0.0, 6.0)))
    assert np.allclose(stream.take_excess(14)[8:13, 1], [0, 2, 2, 2, 0], atol=1e-4)


def test_longer_averages_take_in_no_more_than_a_few_spreads_of_a_cell() -> None:
    distances, levels_db = quiet(3)
    levels_db[0], levels_db[1] = CENTRE_DB + 60, CENTRE_DB - 60
    both = side_by_side(distances + np.float32(LOUD), levels_db)
    far, level = np.split(ScaleStream(SHORT, ROWS).limited(both), 2, axis=1)
    assert np.allclose(far, CENTRE + MOST_SPREADS * SPREAD)
    most = MOST_SPREADS * SPREAD_DB
    assert np.allclose(level[:, 0] - CENTRE_DB, [most, -most, 0.0])


def test_a_cell_without_an_own_deviation_has_no_share_in_an_average_s() -> None:
    stream = ScaleStream(LONG, 1)
    distances, levels_db = quiet(100, 1)
    own = np.zeros((100, 1), np.float32)
    own[40:60], distances[40:60] = 2.0, CENTRE + 2 * SPREAD
    stream.push(side_by_side(distances, levels_db))
    stream.finish()
    stream.push_own(own, last=True)
    found = stream.take(stream.ready, own)
    assert (found[45:55] > 1.0).all()
    assert not found[np.r_[0:40, 60:100]].any()


@given(st.lists(st.integers(0, 120), max_size=8))
@settings(max_examples=40, deadline=None)
def test_what_a_slow_scale_hears_is_the_same_however_the_sound_is_cut(cuts: list[int]) -> None:
    sound = raised(noisy(120), 50, 51, LOUD)
    for found, whole in zip(calmed(sound, cuts), calmed(sound), strict=True):
        assert np.array_equal(found, whole)


def test_a_slow_scale_hears_a_loud_column_and_the_next_three_as_normal() -> None:
    sound = raised(quiet(20), 0, 20, SPREAD, 2.0)
    distances, levels_db = calmed(raised(sound, 10, 11, LOUD, 20.0))
    normal = np.r_[10:14]
    assert np.allclose(distances[normal], CENTRE)
    assert np.allclose(levels_db[normal], CENTRE_DB)
    others = np.setdiff1d(np.arange(20), normal)
    assert np.array_equal(distances[others], sound[0][others])
    assert np.array_equal(levels_db[others], sound[1][others])


def test_a_slow_scale_hears_calm_sound_as_it_is() -> None:
    distances, levels_db = raised(quiet(50), 10, 40, 2 * SPREAD, 3.0)
    found = calmed((distances, levels_db))
    assert np.array_equal(found[0], distances)
    assert np.array_equal(found[1], levels_db)


def test_statistics_of_more_rows_than_the_sound_has_count_from_the_lowest() -> None:
    distances, levels_db = noisy(60)
    fewer = deviations(SHORT, (distances[:, :2], levels_db[:, :2]))
    assert np.array_equal(fewer, deviations(SHORT, (distances, levels_db))[:, :2])
