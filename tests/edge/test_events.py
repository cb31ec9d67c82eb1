"""Events: connected cells become one box; a state machine that chunking can't disturb."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from edge.bands import AUDIBLE_DB
from edge.events import Event, EventFinder, EventRules, Grid
from edge.evidence import Weighed
from tests.edge.normal import TAIL

FloatArray = NDArray[np.float32]
Cell = tuple[int, int]

ROWS, COLUMN_S, RELEASE = 6, 0.08, 0.6
EDGES_HZ = np.array([0.0, 100.0, 300.0, 700.0, 1_500.0, 3_000.0, 6_000.0])
BANDS = 4  # to a row
BAND_EDGES_HZ = np.interp(np.arange(ROWS * BANDS + 1) / BANDS, np.arange(ROWS + 1), EDGES_HZ)
GRID = Grid(COLUMN_S, EDGES_HZ, BAND_EDGES_HZ)
WHOLE_BOX = EventRules(box_share=0.0)


def finder(rules: EventRules | None = None, alarm: float = 1.0) -> EventFinder:
    return EventFinder(
        alarm=alarm,
        tail=TAIL,
        release=RELEASE,
        grid=GRID,
        rules=rules,
        origin=lambda row: (f"{row}.wav", row / 2),
    )


def weighed(evidence: FloatArray, bands_db: FloatArray | None = None) -> Weighed:
    """With something else in every cell for all that an event tells of its peak."""
    number = np.arange(evidence.size).reshape(evidence.shape)
    if bands_db is None:
        bands_db = np.full((len(evidence), ROWS * BANDS), -99.0, np.float32)
    return Weighed(
        evidence=evidence,
        scale_columns=(2 * number + 1).astype(np.int16),
        excess_db=number.astype(np.float32),
        contrast_db=-number.astype(np.float32),
        nearest=number.astype(np.int32),
        bands_db=bands_db,
    )


def find(
    evidence: FloatArray, rules: EventRules | None = None, bands_db: FloatArray | None = None
) -> list[Event]:
    stream = finder(rules)
    return stream.push(weighed(evidence, bands_db)) + stream.finish()


def split(whole: Weighed, cuts: list[int]) -> list[Weighed]:
    parts = zip(*(np.split(part, sorted(cuts)) for part in whole), strict=True)
    return [Weighed(*part) for part in parts]


def grid(columns: int, cells: dict[Cell, float]) -> FloatArray:
    evidence = np.zeros((columns, ROWS), np.float32)
    for cell, value in cells.items():
        evidence[cell] = value
    return evidence


def box(event: Event) -> tuple[int, int, float, float]:
    """First column, column after the last, low and high Hz."""
    return (
        round(event.start_s / COLUMN_S),
        round(event.end_s / COLUMN_S),
        event.low_hz,
        event.high_hz,
    )


def components(evidence: FloatArray, rules: EventRules) -> Iterator[set[Cell]]:
    """Connected cells, by the definition in words."""
    left = {(int(c), int(r)) for c, r in np.argwhere(evidence >= np.float32(RELEASE))}
    while left:
        found, frontier = set(), [left.pop()]
        while frontier:
            column, row = frontier.pop()
            found.add((column, row))
            near = {
                (c, r)
                for c, r in left
                if abs(c - column) - 1 <= rules.join_columns and abs(r - row) - 1 <= rules.join_rows
            }
            left -= near
            frontier.extend(near)
        yield found


def by_definition(evidence: FloatArray, rules: EventRules) -> list[tuple[int, int, float, float]]:
    boxes = []
    for cells in components(evidence, rules):
        if max(evidence[cell] for cell in cells) >= 1.0:
            columns, rows = [c for c, _ in cells], [r for _, r in cells]
            low_hz, high_hz = EDGES_HZ[min(rows)], EDGES_HZ[max(rows) + 1]
            boxes.append((min(columns), max(columns) + 1, float(low_hz), float(high_hz)))
    return sorted(boxes)


LEVELS = np.array([0.0, 0.0, 0.0, 0.0, 0.59, RELEASE, 0.9, 1.0, 2.5], np.float32)
evidences = (
    st.integers(0, 40)
    .flatmap(
        lambda columns: arrays(np.intp, (columns, ROWS), elements=st.integers(0, len(LEVELS) - 1))
    )
    .map(lambda indices: LEVELS[indices])
)
rule_sets = st.builds(
    EventRules,
    join_columns=st.integers(0, 5),
    join_rows=st.integers(0, 2),
    box_share=st.sampled_from([0.0, 0.5, 0.9]),
    max_columns=st.integers(1, 50),
)


@given(evidences, rule_sets)
@settings(max_examples=250, deadline=None)
def test_the_boxes_are_those_of_the_connected_cells(
    evidence: FloatArray, rules: EventRules
) -> None:
    endless = msgspec.structs.replace(rules, box_share=0.0, max_columns=10_000)
    assert sorted(map(box, find(evidence, endless))) == by_definition(evidence, endless)


@given(evidences, rule_sets, st.lists(st.integers(0, 40), max_size=8))
@settings(max_examples=150, deadline=None)
def test_the_events_are_the_same_however_the_evidence_is_cut(
    evidence: FloatArray, rules: EventRules, cuts: list[int]
) -> None:
    stream, bands_db = finder(rules), some_bands(len(evidence))
    parts = split(weighed(evidence, bands_db), cuts)
    events = [event for part in parts for event in stream.push(part)]
    assert events + stream.finish() == find(evidence, rules, bands_db)


def some_bands(columns: int) -> FloatArray:
    """Bands of which about a third are louder than normal."""
    random = np.random.default_rng(columns)
    return random.normal(0, 2 * AUDIBLE_DB, (columns, ROWS * BANDS)).astype(np.float32)


@given(evidences, rule_sets)
@settings(max_examples=150, deadline=None)
def test_every_event_is_an_alarm_whose_peak_lies_in_its_box(
    evidence: FloatArray, rules: EventRules
) -> None:
    for event in find(evidence, rules, some_bands(len(evidence))):
        assert event.score >= 1.0
        assert event.start_s < event.peak_s < event.end_s
        assert event.low_hz < event.peak_hz < event.high_hz
        assert event.end_s - event.start_s <= rules.max_columns * COLUMN_S + 1e-9


@given(evidences, rule_sets)
@settings(max_examples=150, deadline=None)
def test_every_cell_at_the_alarm_level_lies_in_an_event(
    evidence: FloatArray, rules: EventRules
) -> None:
    events = find(evidence, msgspec.structs.replace(rules, box_share=0.0))
    for column, row in np.argwhere(evidence >= 1.0):
        time_s, middle_hz = (column + 0.5) * COLUMN_S, EDGES_HZ[row : row + 2].mean()
        assert any(
            e.start_s < time_s < e.end_s and e.low_hz < middle_hz < e.high_hz for e in events
        )


def test_quiet_evidence_has_no_events() -> None:
    assert find(np.full((50, ROWS), 0.59, np.float32)) == []
    assert find(np.empty((0, ROWS), np.float32)) == []


def test_a_region_below_the_alarm_level_is_no_event() -> None:
    assert find(grid(20, {(5, 2): 0.99, (6, 2): 0.99})) == []


def test_an_event_reaches_as_far_as_the_release_level() -> None:
    cells = {(4, 2): 0.59, (5, 2): 0.6, (6, 2): 1.0, (7, 2): 0.6, (8, 2): 0.59}
    (event,) = find(grid(20, cells))
    assert box(event) == (5, 8, 300.0, 700.0)


def test_an_event_tells_its_peak_in_time_frequency_and_height() -> None:
    (event,) = find(grid(20, {(5, 2): 1.2, (6, 3): 2.5, (7, 3): 1.4}))
    assert (event.peak_s, event.peak_hz, event.score) == (0.52, 1_100.0, 2.5)


@pytest.mark.parametrize(("quiet", "events"), [(0, 1), (4, 1), (5, 2)])
def test_up_to_four_quiet_columns_do_not_end_an_event(quiet: int, events: int) -> None:
    assert len(find(grid(30, {(5, 2): 1.5, (6 + quiet, 2): 1.5}))) == events


def test_a_knock_five_times_a_second_is_one_event() -> None:
    knocks = {(column, 3): 1.5 for column in range(0, 60, 3)}
    (event,) = find(grid(70, knocks))
    assert box(event)[:2] == (0, 58)


@pytest.mark.parametrize(("quiet", "events"), [(0, 1), (1, 1), (2, 2)])
def test_one_quiet_row_does_not_split_an_event(quiet: int, events: int) -> None:
    assert len(find(grid(20, {(5, 0): 1.5, (5, 1 + quiet): 1.5}))) == events


def test_rows_far_apart_give_separate_events_at_the_same_time() -> None:
    low, high = sorted(find(grid(20, {(5, 0): 1.5, (5, 5): 1.5})), key=lambda e: e.low_hz)
    assert (box(low), box(high)) == ((5, 6, 0.0, 100.0), (5, 6, 3_000.0, 6_000.0))


def test_two_regions_that_meet_later_are_one_event() -> None:
    arms = {(column, row): 1.5 for column in range(5, 9) for row in (0, 5)}
    bridge = {(9, row): 1.5 for row in range(ROWS)}
    (event,) = find(grid(20, arms | bridge))
    assert box(event) == (5, 10, 0.0, 6_000.0)


def test_what_lasts_longer_than_ten_seconds_is_reported_piece_by_piece() -> None:
    stream = finder()
    first = stream.push(weighed(np.full((125, ROWS), 1.5, np.float32)))
    assert [box(event)[:2] for event in first] == [(0, 125)]
    rest = weighed(np.full((100, ROWS), 1.5, np.float32))
    second = stream.push(rest) + stream.finish()
    assert [box(event)[:2] for event in second] == [(125, 225)]


def test_an_event_is_told_as_soon_as_it_can_not_grow_any_more() -> None:
    stream = finder()
    assert stream.push(weighed(grid(5, {(0, 2): 1.5}))) == []
    assert len(stream.push(weighed(grid(1, {})))) == 1
    assert stream.finish() == []


def test_the_end_of_the_sound_closes_what_is_open_once() -> None:
    stream = finder()
    assert stream.push(weighed(grid(3, {(2, 2): 1.5}))) == []
    assert [box(event)[:2] for event in stream.finish()] == [(2, 3)]
    assert stream.finish() == []


HALO = {(5, 2): 0.7, (6, 1): 1.9, (6, 2): 4.0, (7, 2): 2.0, (8, 2): 1.9, (9, 2): 0.7}


def test_cells_below_half_of_the_peak_are_left_out_of_the_box() -> None:
    (event,) = find(grid(20, HALO))
    assert box(event) == (6, 8, 300.0, 700.0)


def test_without_a_share_the_box_holds_the_whole_region() -> None:
    (event,) = find(grid(20, HALO), WHOLE_BOX)
    assert box(event) == (5, 10, 100.0, 700.0)


def test_the_score_is_in_units_of_the_alarm_level() -> None:
    stream = finder(alarm=2.0)
    (event,) = [*stream.push(weighed(grid(5, {(1, 2): 3.0}))), *stream.finish()]
    assert event.score == 1.5


def test_an_event_tells_what_stands_behind_its_peak() -> None:
    (event,) = find(grid(20, {(5, 2): 1.2, (6, 3): 2.5, (7, 3): 1.4}))
    peak = 6 * ROWS + 3
    assert event.scale_s == round((2 * peak + 1) * COLUMN_S, 3)
    assert (event.excess_db, event.contrast_db) == (peak, -peak)
    assert (event.nearest_recording, event.nearest_s) == (f"{peak}.wav", peak / 2)


def test_an_event_tells_how_often_normal_sound_would_reach_its_score() -> None:
    weak, strong = find(grid(30, {(5, 2): 1.0, (20, 2): 2.0}))
    assert weak.false_alarms_per_day == pytest.approx(TAIL.per_day(1.0), rel=5e-3)
    assert strong.false_alarms_per_day == pytest.approx(TAIL.per_day(2.0), rel=5e-3)
    assert strong.false_alarms_per_day < weak.false_alarms_per_day


ONE_ROW = {(5, 2): 1.5, (6, 2): 1.5}  # bands 8 to 11


@pytest.mark.parametrize(
    ("loud", "low", "high"),
    [
        ({9: 12.0}, 9, 10),
        ({9: 12.0, 10: 7.0}, 9, 11),
        ({9: 12.0, 10: 1.0}, 9, 10),
        ({8: 12.0, 11: 12.0}, 8, 12),
        ({9: AUDIBLE_DB - 0.1}, 8, 12),
        ({2: 30.0, 20: 30.0}, 8, 12),
    ],
    ids=["one", "two", "its halo", "a gap", "inaudible", "elsewhere"],
)
def test_the_loud_bands_of_its_rows_bound_the_box(
    loud: dict[int, float], low: int, high: int
) -> None:
    bands_db = np.zeros((20, ROWS * BANDS), np.float32)
    bands_db[5:7, list(loud)] = list(loud.values())
    (event,) = find(grid(20, ONE_ROW), bands_db=bands_db)
    assert event.low_hz == pytest.approx(BAND_EDGES_HZ[low], abs=0.1)
    assert event.high_hz == pytest.approx(BAND_EDGES_HZ[high], abs=0.1)


def test_the_excess_is_that_of_the_loudest_band_where_it_is_more() -> None:
    bands_db = np.zeros((20, ROWS * BANDS), np.float32)
    bands_db[5:7, 9] = 40.0, 60.0
    (event,) = find(grid(20, ONE_ROW), bands_db=bands_db)
    assert event.excess_db == 50.0


def test_the_same_sound_has_the_same_word_whenever_it_comes() -> None:
    five_columns = {(column, 3): 1.5 for column in range(5)}
    words = {
        find(np.concatenate([grid(wait, {}), grid(5, five_columns)]))[0].sounds_like
        for wait in range(60)
    }
    assert words == {"click"}
