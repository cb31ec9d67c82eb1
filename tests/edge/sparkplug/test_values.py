"""Report by exception: what is worth telling."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.metrics import Deadband, Definition, Quality, Reading
from edge.sparkplug.values import Values

SCORE = Definition(name="Score", datatype=DataType.DOUBLE, deadband=Deadband(0.05, limit=1.0))
RATE = Definition(name="Rate", datatype=DataType.DOUBLE, deadband=Deadband(share=0.2))
STATE = Definition(name="State", datatype=DataType.STRING)
COUNT = Definition(name="Count", datatype=DataType.INT64)
EVENT = Definition(name="Event", datatype=DataType.STRING, event=True)
WRITE = Definition(name="Write", datatype=DataType.BOOLEAN, initial=False)


def known(every_s: float = 0.0) -> Values:
    return Values([SCORE, RATE, STATE, COUNT, EVENT, WRITE], every_s)


def told(values: Values, name: str, *readings: float | str | None) -> list[object]:
    """Those of some values, a second apart, that are worth telling."""
    found: list[object] = []
    for at_s, value in enumerate(readings):
        changes = values.update({name: Reading(value)}, float(at_s))
        found += [change.reading.value for change in changes]
    return found


def test_the_first_value_is_told_and_the_same_again_is_not() -> None:
    assert told(known(), "State", "hearing", "hearing", "silent", "silent") == ["hearing", "silent"]
    assert told(known(), "Count", 1, 1, 2) == [1, 2]


def test_a_number_is_told_when_it_leaves_the_deadband_around_what_was_told() -> None:
    drift = [0.30, 0.32, 0.34, 0.36, 0.38, 0.40, 0.42]
    assert told(known(), "Score", *drift) == [0.30, 0.36, 0.42]


def test_a_deadband_may_be_a_share() -> None:
    assert told(known(), "Rate", 100.0, 110.0, 121.0, 30.0, 29.0) == [100.0, 121.0, 30.0]


def test_the_alarm_level_is_crossed_never_unseen() -> None:
    """0.99 to 1.01 is within the deadband, and is an alarm."""
    assert told(known(), "Score", 0.99, 1.01, 1.02, 0.99) == [0.99, 1.01, 0.99]


def test_a_number_is_told_at_most_so_often_but_a_crossing_at_once() -> None:
    values = known(every_s=10.0)
    found = told(values, "Score", 0.1, 0.3, 0.5, 1.5, 2.5, *[2.5] * 9)
    assert found == [0.1, 1.5, 2.5]


def test_nothing_and_something_differ() -> None:
    assert told(known(), "Score", 0.3, None, None, 0.3) == [0.3, None, 0.3]


def test_a_change_of_quality_is_told() -> None:
    values = known()
    values.update({"Score": Reading(0.3)}, 0.0)
    (change,) = values.update({"Score": Reading(0.3, Quality.STALE)}, 1.0)
    assert change.reading.quality is Quality.STALE


def test_an_event_is_told_though_it_is_the_same_as_before() -> None:
    values = known()
    for at_s in (0.0, 1.0):
        (change,) = values.happened({"Event": Reading("hiss")}, at_s)
        assert (change.reading.value, change.at_s) == ("hiss", at_s)


def test_a_birth_has_everything_in_order_of_time_and_counts_as_telling() -> None:
    values = known()
    values.update({"State": Reading("hearing")}, 5.0)
    values.happened({"Event": Reading("hiss")}, 3.0)
    birth = values.all(9.0)
    assert [(c.definition.name, c.at_s) for c in birth] == [
        ("Event", 3.0), ("State", 5.0), ("Score", 9.0), ("Rate", 9.0), ("Count", 9.0),
        ("Write", 9.0),
    ]  # fmt: skip
    assert {c.definition.name: c.reading.value for c in birth}["Write"] is False
    assert values.update({"State": Reading("hearing")}, 10.0) == []


def test_what_was_not_defined_is_a_mistake_of_ours() -> None:
    with pytest.raises(KeyError):
        known().update({"Nonsense": Reading(1)}, 0.0)


@settings(deadline=None)
@given(st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=60))
def test_what_a_host_believes_is_never_further_off_than_the_deadband(scores: list[float]) -> None:
    values, believed = known(), 0.0
    for at_s, score in enumerate(scores):
        for change in values.update({"Score": Reading(score)}, float(at_s)):
            assert isinstance(change.reading.value, float)
            believed = change.reading.value
        assert abs(believed - score) < 0.05
        assert (believed < 1.0) == (score < 1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "loud", True])
def test_what_is_no_value_of_the_metric_is_told_as_nothing_and_bad(value: float | str) -> None:
    (change,) = known().update({"Score": Reading(value)}, 0.0)
    assert change.reading == Reading(None, Quality.BAD)


def test_half_a_letter_is_no_text() -> None:
    """A name that came out of a file system may hold one."""
    (change,) = known().happened({"Event": Reading("\udce4")}, 0.0)
    assert change.reading == Reading(None, Quality.BAD)
