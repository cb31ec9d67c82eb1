"""Evidence: the largest of the scales, and the share that keeps a burst where it was."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.evidence import RECENT_COLUMNS, Evidence, Weighed
from edge.scales import MOST_SPREADS, Scale
from tests.edge.normal import (
    BURST,
    LONG,
    MOMENT,
    RELEASE,
    ROWS,
    SHORT,
    SLOW,
    SPREAD,
    SPREAD_DB,
    UNIT,
    FloatArray,
    Streams,
    noisy,
    quiet,
    raised,
    thresholds,
    weighed,
)

ALL = (SHORT, LONG, MOMENT, BURST)
STAGES = pytest.mark.parametrize("scales", [ALL, (SLOW,)], ids=["fast", "slow"])
LOUD = 50 * SPREAD
SECOND = 13  # columns, rounded up
LENGTH = 200
cuts_of = st.lists(st.integers(0, LENGTH), max_size=10)


def evidence_of(streams: Streams, *scales: Scale) -> FloatArray:
    return weighed(streams, thresholds(*(scales or ALL))).evidence


def burst_at(first: int, length: int, distance: float) -> Streams:
    return raised(quiet(LENGTH), first, first + length, distance)


def slow_shift() -> Streams:
    """Two short spreads more for eight seconds."""
    return raised(quiet(300), 100, 200, 2 * SPREAD)


@STAGES
@given(length=st.integers(0, LENGTH), cuts=cuts_of)
@settings(max_examples=60, deadline=None)
def test_streamed_evidence_equals_evidence_at_once_bit_for_bit(
    scales: tuple[Scale, ...], length: int, cuts: list[int]
) -> None:
    streams = raised(noisy(length), 50, 53, LOUD, 20.0)
    stream = Evidence(thresholds(*scales), [scales], ROWS)
    blocks = zip(*(np.split(part, sorted(cuts)) for part in streams), strict=True)
    parts = [*(stream.push(*block)[0] for block in blocks), *stream.finish()]
    found, whole = Weighed.join(parts), weighed(streams, thresholds(*scales))
    for name in Weighed._fields:
        assert np.array_equal(getattr(found, name), getattr(whole, name))
        assert len(getattr(found, name)) == length


def test_groups_of_one_stream_are_each_as_if_it_were_alone() -> None:
    """The detector weighs its fast and its slow scales at once."""
    limits, groups = thresholds(*ALL, SLOW), [ALL, (SLOW,), (LONG,)]
    distances, levels_db = raised(noisy(LENGTH), 50, 53, LOUD, 20.0)
    stream = Evidence(limits, groups, ROWS)
    parts = [stream.push(distances, levels_db), stream.finish()]
    for scales, *found in zip(groups, *parts, strict=True):
        alone = weighed((distances, levels_db), limits, scales)
        whole = Weighed.join(found)
        for name in Weighed._fields:
            assert np.array_equal(getattr(whole, name), getattr(alone, name))


@pytest.mark.parametrize(
    ("scales", "columns"),
    [
        ((SHORT, LONG), RECENT_COLUMNS // 2),
        ((SHORT, MOMENT), RECENT_COLUMNS // 2),
        ((SHORT, BURST), RECENT_COLUMNS // 2 + BURST.columns // 2),
        ((SLOW,), SHORT.columns // 2 + SLOW.columns // 2),
    ],
    ids=["long", "moment", "burst", "slow"],
)
def test_evidence_waits_for_the_longest_window_and_no_longer(
    scales: tuple[Scale, ...], columns: int
) -> None:
    stream = Evidence(thresholds(*scales), [scales], ROWS)
    (found,), (rest,) = stream.push(*quiet(150)), stream.finish()
    assert (len(found.evidence), len(rest.evidence)) == (150 - columns, columns)


@STAGES
def test_normal_sound_has_no_evidence(scales: tuple[Scale, ...]) -> None:
    assert np.allclose(evidence_of(quiet(150), *scales), 0.0, atol=1e-4)


def test_evidence_is_one_at_the_alarm_level_of_a_scale() -> None:
    steady = raised(quiet(60), 0, 60, UNIT * SPREAD)
    assert np.allclose(evidence_of(steady, SHORT)[1:-1, 1], 1.0, atol=1e-4)


def test_the_alarm_level_divides_all_evidence() -> None:
    limits = thresholds(*ALL)
    doubled = msgspec.structs.replace(limits, alarm=2.0)
    sound = noisy(100)
    assert np.array_equal(weighed(sound, doubled).evidence * 2, weighed(sound, limits).evidence)


def test_a_long_scale_finds_a_slow_shift_that_the_short_one_misses() -> None:
    both = weighed(slow_shift(), thresholds(*ALL))
    assert evidence_of(slow_shift(), SHORT).max() < RELEASE
    assert both.evidence[120:180, 1].min() >= 1.0
    assert both.evidence[:, [0, 2]].max() < RELEASE
    assert (both.scale_columns[120:180, 1] == LONG.columns).all()


def test_a_slow_shift_has_evidence_only_while_it_lasts() -> None:
    evidence = evidence_of(slow_shift())
    assert evidence[: 100 - SHORT.columns, 1].max() < RELEASE
    assert evidence[200 + SHORT.columns :, 1].max() < RELEASE


def test_a_slow_scale_finds_a_shift_that_lasts_and_no_burst() -> None:
    assert evidence_of(raised(quiet(400), 100, 300, SPREAD), SLOW)[150:250, 1].min() >= 1.0
    assert np.abs(evidence_of(raised(quiet(400), 180, 200, LOUD), SLOW)).max() < RELEASE


@pytest.mark.parametrize(("length", "scale"), [(1, MOMENT), (12, BURST)], ids=["click", "burst"])
def test_the_scale_that_counts_is_as_long_as_the_burst(length: int, scale: Scale) -> None:
    found = weighed(burst_at(50, length, 6 * SPREAD), thresholds(SHORT, MOMENT, BURST))
    peak = np.unravel_index(found.evidence.argmax(), found.evidence.shape)
    assert found.evidence[peak] >= 1.0
    assert found.scale_columns[peak] == scale.columns


def test_the_level_alone_can_be_evidence() -> None:
    louder = raised(quiet(100), 50, 52, 0.0, 8 * SPREAD_DB)
    assert evidence_of(louder)[50:52, 1].min() >= 1.0


def test_sound_that_drops_out_is_no_burst_but_a_shift_when_it_stays_away() -> None:
    quieter = raised(quiet(300), 100, 200, 0.0, -2 * SPREAD_DB)
    assert evidence_of(quieter, SHORT, MOMENT, BURST).max() < RELEASE
    assert evidence_of(quieter, LONG)[130:170, 1].min() >= 1.0


def test_a_loud_burst_spreads_no_evidence_to_cells_a_second_away() -> None:
    evidence = evidence_of(burst_at(90, 8, LOUD))
    assert evidence[90:98, 1].max() >= 1.0
    assert np.abs(evidence[: 90 - SECOND, 1]).max() < 0.01
    assert np.abs(evidence[98 + SECOND :, 1]).max() < 0.01
    assert np.abs(evidence[:, [0, 2]]).max() < 0.01


def test_a_slightly_raised_cell_near_a_burst_gets_only_its_own_share() -> None:
    near = 98 + SECOND
    sound = raised(burst_at(90, 8, LOUD), near, near + 1, SPREAD)
    assert evidence_of(sound)[near:, 1].max() < RELEASE


@given(st.floats(3 * MOST_SPREADS + 5, 1e4), st.integers(1, 10))
@settings(max_examples=50, deadline=None)
def test_how_loud_a_burst_is_makes_no_difference_to_cells_away_from_it(
    spreads: float, length: int
) -> None:
    hum = noisy(LENGTH)
    louder = evidence_of(raised(hum, 90, 90 + length, spreads * SPREAD), SHORT, LONG)
    loud = evidence_of(raised(hum, 90, 90 + length, (3 * MOST_SPREADS + 5) * SPREAD), SHORT, LONG)
    away = np.r_[0 : 90 - SHORT.columns, 90 + length + SHORT.columns : LENGTH]
    assert np.allclose(louder[away], loud[away], atol=1e-3)


def test_evidence_is_the_largest_of_the_scales() -> None:
    sound = noisy(150)
    alone = [evidence_of(sound, scale) for scale in ALL]
    found = weighed(sound, thresholds(*ALL))
    assert np.array_equal(found.evidence, np.max(alone, axis=0))
    columns = np.array([scale.columns for scale in ALL])
    assert np.array_equal(found.scale_columns, columns[np.argmax(alone, axis=0)])


def test_a_sound_with_fewer_rows_is_scored_by_the_lowest_ones() -> None:
    distances, levels_db = noisy(90)
    fewer = evidence_of((distances[:, :2], levels_db[:, :2]))
    assert np.array_equal(fewer, evidence_of((distances, levels_db))[:, :2])


def test_a_sound_shorter_than_every_scale_has_evidence_of_which_less_counts() -> None:
    steady = raised(quiet(1), 0, 1, 2 * UNIT * SPREAD)
    evidence = evidence_of(steady, SHORT)
    assert evidence.shape == (1, ROWS)
    assert evidence[0, 1] == pytest.approx(2.0 / np.sqrt(3))


def test_the_levels_above_normal_and_above_the_seconds_around_travel_along() -> None:
    distances, levels_db = raised(quiet(200), 50, 200, 0.0, 6.0)
    found = weighed(raised((distances, levels_db), 150, 153, 0.0, 10.0), thresholds(*ALL))
    assert found.excess_db[100, 1] == pytest.approx(6.0, abs=1e-4)
    assert found.contrast_db[100, 1] == pytest.approx(0.0, abs=1e-4)
    assert found.excess_db[151, 1] == pytest.approx(16.0, abs=1e-4)
    assert found.contrast_db[151, 1] == pytest.approx(10.0, abs=1e-4)


@STAGES
def test_the_nearest_rows_of_the_bank_come_out_beside_their_columns(
    scales: tuple[Scale, ...],
) -> None:
    nearest = np.arange(LENGTH * ROWS, dtype=np.int32).reshape(LENGTH, ROWS)
    distances, levels_db = noisy(LENGTH)
    stream = Evidence(thresholds(*scales), [scales], ROWS)
    parts = [
        stream.push(distances[i : i + 70], levels_db[i : i + 70], nearest[i : i + 70])[0]
        for i in range(0, LENGTH, 70)
    ]
    assert np.array_equal(Weighed.join([*parts, *stream.finish()]).nearest, nearest)


def held_bytes(thing: object, seen: set[int]) -> int:
    """All arrays that an object holds, wherever in it."""
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    if isinstance(thing, np.ndarray):
        return max(thing.nbytes, 0 if thing.base is None else held_bytes(thing.base, seen))
    if isinstance(thing, (list, tuple)):
        return sum(held_bytes(each, seen) for each in thing)
    return sum(held_bytes(each, seen) for each in getattr(thing, "__dict__", {}).values())


@STAGES
def test_what_is_held_does_not_grow_with_the_stream(scales: tuple[Scale, ...]) -> None:
    """A node listens for years."""
    stream = Evidence(thresholds(*scales), [scales], ROWS)
    held = []
    for minute in range(8):
        distances, levels_db = noisy(750 + minute)
        for start in range(0, 744, 8):
            stream.push(distances[start : start + 8], levels_db[start : start + 8])
        held.append(held_bytes(stream, set()))
    assert held[-1] == held[1]
