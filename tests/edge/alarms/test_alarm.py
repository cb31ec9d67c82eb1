"""An alarm's states and delays: the table of docs/alarms.md, row by row."""

from __future__ import annotations

import msgspec
import pytest

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.commands import Operator
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import Notice, Transition
from edge.alarms.waiting import LISTED

OPERATOR = Operator("shift leader", "looked at it")
OFF_S = 10.0


def alarm_in(state: str) -> Alarm:
    """An alarm that came to be in this state by an event, its return, and commands; at 100 s."""
    alarm = Alarm(AlarmSettings(off_delay_s=OFF_S, latching=state.startswith("latched")), 0.0)
    if state == "normal":
        alarm.tick(100.0)
        return alarm
    alarm.event("first", 0.0, 1.0, 2.0, 0.0 if not state.startswith("active") else 95.0)
    if state.endswith("_acknowledged"):
        commands.acknowledge(alarm, None, OPERATOR, 95.0)
    alarm.tick(100.0)
    if state in {"shelved", "out_of_service"}:
        put = commands.shelve_once if state == "shelved" else commands.remove_from_service
        put(alarm, OPERATOR, 100.0)
    return alarm


def apply(alarm: Alarm, given: str, now_s: float) -> list[Notice]:
    calls = {
        "event": lambda: alarm.event("next", 0.0, 1.0, 3.0, now_s),
        "return": lambda: alarm.tick(now_s + OFF_S),
        "acknowledge": lambda: commands.acknowledge(alarm, None, OPERATOR, now_s).notices,
        "reset": lambda: commands.reset(alarm, OPERATOR, now_s).notices,
        "shelve": lambda: commands.shelve(alarm, 3600.0, OPERATOR, now_s).notices,
        "unshelve": lambda: commands.unshelve(alarm, OPERATOR, now_s).notices,
        "out of service": lambda: commands.remove_from_service(alarm, OPERATOR, now_s).notices,
        "in service": lambda: commands.place_in_service(alarm, OPERATOR, now_s).notices,
    }
    return calls[given]()


INPUTS = ("event", "return", "acknowledge", "reset", "shelve", "out of service")
SHORT = {
    "N": "normal",
    "AU": "active_unacknowledged",
    "AA": "active_acknowledged",
    "RU": "returned_unacknowledged",
    "LU": "latched_unacknowledged",
    "LA": "latched_acknowledged",
    "S": "shelved",
    "O": "out_of_service",
}
TABLE = {
    "normal": "AU N N N S O",
    "active_unacknowledged": "AU RU AA AU S O",
    "active_acknowledged": "AA N AA AA S O",
    "returned_unacknowledged": "AU RU N RU S O",
    "latched_unacknowledged": "AU LU LA LU S O",
    "latched_acknowledged": "AU LA LA N S O",
    "out_of_service": "O O O O O O",
}


@pytest.mark.parametrize("state", TABLE)
@pytest.mark.parametrize("given", INPUTS)
def test_each_input_leads_from_each_state_to_the_next(state: str, given: str) -> None:
    alarm = alarm_in(state)
    assert alarm.state.name == state
    notices = apply(alarm, given, 101.0)
    expected = SHORT[TABLE[state].split()[INPUTS.index(given)]]
    assert alarm.state.name == expected
    seen = [n for n in notices if isinstance(n, Transition) and n.before == state]
    assert [(n.before, n.after) for n in seen] == ([(state, expected)] if state != expected else [])


def test_an_event_is_told_with_its_id_and_score() -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    (told,) = alarm.event("E1", 5.0, 7.4, 9.42, 12.0)
    assert told == Transition(
        before="normal",
        after="active_unacknowledged",
        cause="event",
        at_s=12.0,
        event_id="E1",
        score=9.42,
        annunciated=True,
    )
    state = alarm.state
    assert (state.last_event_id, state.worst_score, state.since_s) == ("E1", 9.42, 12.0)
    assert state.waiting == ("E1",)


def test_it_returns_after_the_off_delay_and_not_before() -> None:
    alarm = Alarm(AlarmSettings(off_delay_s=10.0), 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 5.0)
    alarm.tick(14.75)
    assert alarm.state.active
    alarm.tick(15.0)
    assert not alarm.state.active


def test_a_long_anomaly_that_is_reported_piece_by_piece_is_one_activation() -> None:
    """Pieces of 10 s come 10 s apart, or later than the off-delay; the sound never stopped."""
    alarm = Alarm(AlarmSettings(off_delay_s=5.0), 0.0)
    changes = [n for i in range(6) for n in alarm.event(f"E{i}", 0.0, 10.0, 2.0, 10.0 * i)]
    assert len(changes) == 1
    assert alarm.state.waiting_count == 6


def test_evidence_above_the_release_level_keeps_it_active() -> None:
    alarm = Alarm(AlarmSettings(off_delay_s=5.0), 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 0.0)
    for now_s in range(1, 60):
        assert alarm.sounding(float(now_s), 0.9 + now_s / 10) == []
    assert alarm.state.active
    assert alarm.state.worst_score == pytest.approx(6.8)


def test_evidence_below_the_alarm_level_begins_nothing() -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    for now_s in range(60):
        assert alarm.sounding(float(now_s), 0.9) == []
    assert alarm.state.name == "normal"
    assert alarm.state.worst_score == 0.0


def test_what_is_over_before_the_on_delay_is_no_alarm() -> None:
    alarm = Alarm(AlarmSettings(on_delay_s=5.0, off_delay_s=2.0), 0.0)
    for now_s in range(0, 300, 10):
        assert alarm.event(f"E{now_s}", 0.0, 4.0, 2.0, float(now_s)) == []
        assert alarm.tick(now_s + 6.0) == []
    assert alarm.state.name == "normal"
    assert alarm.state.waiting_count == 0


def test_what_goes_on_for_the_on_delay_is_one_and_all_its_events_wait() -> None:
    alarm = Alarm(AlarmSettings(on_delay_s=5.0, off_delay_s=2.0), 0.0)
    assert alarm.event("E1", 0.0, 3.0, 7.0, 10.0) == []
    assert alarm.sounding(11.5, 1.0) == []
    (told,) = alarm.event("E2", 0.0, 0.5, 2.0, 12.0)
    assert isinstance(told, Transition)
    assert told.score == 7.0
    assert alarm.state.waiting == ("E1", "E2")


def test_a_long_event_satisfies_the_on_delay_at_once() -> None:
    alarm = Alarm(AlarmSettings(on_delay_s=5.0), 0.0)
    assert len(alarm.event("E1", 20.0, 25.0, 2.0, 30.0)) == 1


def test_an_acknowledged_alarm_that_goes_on_needs_no_second_acknowledgement() -> None:
    alarm = alarm_in("active_acknowledged")
    alarm.event("next", 0.0, 1.0, 2.0, 101.0)
    assert alarm.state.name == "active_acknowledged"
    assert commands.acknowledge(alarm, "next", OPERATOR, 102.0).accepted


def test_an_alarm_that_comes_again_needs_one() -> None:
    alarm = alarm_in("active_acknowledged")
    alarm.tick(200.0)
    alarm.event("next", 0.0, 1.0, 2.0, 201.0)
    assert alarm.state.name == "active_unacknowledged"
    assert alarm.state.waiting == ("next",)


def test_silence_that_nobody_heard_ends_nothing() -> None:
    """E01, D01: a dead or unplugged microphone is not a machine that is well again."""
    alarm = Alarm(AlarmSettings(off_delay_s=10.0), 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 0.0)
    alarm.tick(4.0)
    alarm.input_lost(4.0)
    assert alarm.tick(100_000.0) == []
    assert alarm.state.active
    assert alarm.state.suspect
    alarm.input_back(100_000.0)
    assert not alarm.state.suspect
    alarm.tick(100_005.75)
    assert alarm.state.active
    alarm.tick(100_006.0)
    assert not alarm.state.active


def test_an_event_that_closes_when_the_input_is_lost_counts_once_sound_is_back() -> None:
    """D01: the detector closes what is open when its source dies."""
    alarm = Alarm(AlarmSettings(), 0.0)
    alarm.input_lost(5.0)
    assert alarm.event("E1", 0.0, 3.0, 2.0, 5.0) == []
    assert not alarm.state.active
    assert len(alarm.input_back(60.0)) == 1
    assert alarm.state.name == "active_unacknowledged"
    assert alarm.input_back(61.0) == []


def test_a_suspect_alarm_can_be_acknowledged() -> None:
    alarm = alarm_in("active_unacknowledged")
    alarm.input_lost(101.0)
    assert commands.acknowledge(alarm, None, OPERATOR, 102.0).accepted
    assert alarm.state.name == "active_acknowledged"


@pytest.mark.parametrize("now_s", [float("nan"), float("inf"), float("-inf"), -1e9, 1e300])
def test_a_clock_that_is_none_stands_still(now_s: float) -> None:
    """I04."""
    alarm = alarm_in("active_unacknowledged")
    before = alarm.state
    assert alarm.tick(now_s) == []
    assert alarm.state == before


@pytest.mark.parametrize("score", [float("nan"), float("inf"), -1.0])
def test_a_score_that_is_none_does_not_spoil_the_state(score: float) -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    alarm.event("E1", 0.0, 1.0, score, 1.0)
    assert alarm.state.active
    assert 0.0 <= alarm.state.worst_score < float("inf")


def test_a_weekend_of_events_is_listed_to_a_limit_and_counted_beyond_it() -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    for number in range(1_000):
        alarm.event(f"E{number}", 0.0, 1.0, 2.0, float(number))
    state = alarm.state
    assert state.waiting_count == 1_000
    assert len(state.waiting) == LISTED
    assert state.waiting[-1] == "E999"


@pytest.mark.parametrize(
    "wrong",
    [
        {"on_delay_s": -1},
        {"off_delay_s": 1e9},
        {"max_per_hour": 0},
        {"max_shelve_s": 0},
        {"latching": "yes"},
        {"off_dely_s": 5},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(wrong, AlarmSettings)
