"""What an operator may do, what he is told, and what he may repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.commands import MAX_BY_CHARS, MAX_COMMENT_CHARS, Operator
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import Notice, Outcome, Summary, Transition
from edge.alarms.waiting import LISTED

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATOR = Operator("shift leader", "looked at it")


def sounding_alarm(events: int = 1, *, latching: bool = False) -> Alarm:
    alarm = Alarm(AlarmSettings(latching=latching, max_shelve_s=3600.0), 0.0)
    for number in range(1, events + 1):
        alarm.event(f"E{number}", 0.0, 1.0, float(number), float(number))
    return alarm


def told(notices: list[Notice]) -> list[tuple[str, str]]:
    return [(n.before, n.after) for n in notices if isinstance(n, Transition) and n.annunciated]


def test_an_acknowledgement_says_who_and_why() -> None:
    outcome = commands.acknowledge(sounding_alarm(), None, OPERATOR, 5.0)
    (transition,) = outcome.notices
    assert isinstance(transition, Transition)
    assert (transition.by, transition.comment) == ("shift leader", "looked at it")
    assert (transition.cause, transition.annunciated) == ("acknowledge", False)


def test_acknowledging_an_event_leaves_those_that_came_after_it() -> None:
    """The command was on its way when E3 came: nobody has seen that yet."""
    alarm = sounding_alarm(3)
    outcome = commands.acknowledge(alarm, "E2", OPERATOR, 5.0)
    assert outcome == Outcome(accepted=True, text="acknowledged 2 events; 1 still wait", notices=[])
    assert alarm.state.name == "active_unacknowledged"
    assert alarm.state.waiting == ("E3",)


def test_acknowledging_the_last_event_acknowledges_those_that_are_only_counted() -> None:
    alarm = sounding_alarm(5 * LISTED)
    outcome = commands.acknowledge(alarm, f"E{5 * LISTED}", OPERATOR, 1e4)
    assert outcome.text == f"acknowledged {5 * LISTED} events"
    assert alarm.state.acknowledged


@pytest.mark.parametrize("event_id", ["E9", "", "x" * 10_000, "\ud800", "\x1b[2J"])
def test_an_unknown_event_is_refused_in_one_printable_line(event_id: str) -> None:
    outcome = commands.acknowledge(sounding_alarm(), event_id, OPERATOR, 5.0)
    assert not outcome.accepted
    assert "does not wait" in outcome.text
    assert outcome.text.isprintable()


REPEATED: dict[str, Callable[[Alarm, float], Outcome]] = {
    "acknowledge all": lambda alarm, t: commands.acknowledge(alarm, None, OPERATOR, t),
    "acknowledge one": lambda alarm, t: commands.acknowledge(alarm, "E1", OPERATOR, t),
    "shelve": lambda alarm, t: commands.shelve(alarm, 60.0, OPERATOR, t),
    "shelve once": lambda alarm, t: commands.shelve_once(alarm, OPERATOR, t),
    "out of service": lambda alarm, t: commands.remove_from_service(alarm, OPERATOR, t),
}


@pytest.mark.parametrize("command", REPEATED.values(), ids=REPEATED)
def test_a_command_that_comes_twice_does_what_one_does(
    command: Callable[[Alarm, float], Outcome],
) -> None:
    """QoS 1 delivers twice at times."""
    alarm = sounding_alarm()
    assert len(command(alarm, 5.0).notices) == 1
    once = alarm.state
    again = command(alarm, 5.0)
    assert again.accepted
    assert again.notices == []
    assert alarm.state == once


IDLE: dict[str, Callable[[Alarm, float], Outcome]] = {
    "nothing waits": lambda alarm, t: commands.acknowledge(alarm, None, OPERATOR, t),
    "nothing is latched": lambda alarm, t: commands.reset(alarm, OPERATOR, t),
    "not shelved": lambda alarm, t: commands.unshelve(alarm, OPERATOR, t),
    "in service already": lambda alarm, t: commands.place_in_service(alarm, OPERATOR, t),
}


@pytest.mark.parametrize("says", IDLE)
def test_a_command_with_nothing_to_do_is_accepted_and_says_so(says: str) -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    outcome = IDLE[says](alarm, 5.0)
    assert outcome.accepted
    assert says in outcome.text
    assert outcome.notices == []
    assert alarm.revision == 0


def test_a_latched_alarm_is_reset_once_it_has_returned_and_is_acknowledged() -> None:
    """OPC UA part 9, 5.8.5."""
    alarm = sounding_alarm(latching=True)
    assert "still sounds wrong" in commands.reset(alarm, OPERATOR, 5.0).text
    changes = alarm.tick(60.0)
    assert told(changes) == [("active_unacknowledged", "latched_unacknowledged")]
    assert "acknowledge first" in commands.reset(alarm, OPERATOR, 61.0).text
    commands.acknowledge(alarm, None, OPERATOR, 62.0)
    (transition,) = commands.reset(alarm, OPERATOR, 63.0).notices
    assert isinstance(transition, Transition)
    assert (transition.before, transition.after) == ("latched_acknowledged", "normal")
    assert not alarm.state.latched


def test_a_shelved_alarm_is_silent_and_comes_back_as_what_it_is_by_then() -> None:
    alarm = sounding_alarm()
    commands.acknowledge(alarm, None, OPERATOR, 5.0)
    commands.shelve(alarm, 600.0, OPERATOR, 5.0)
    alarm.tick(100.0)
    suppressed = alarm.event("E2", 0.0, 1.0, 8.0, 600.0)
    assert told(suppressed) == []
    assert [n.suppressed_by for n in suppressed if isinstance(n, Transition)] == ["shelved"]
    assert alarm.state.suppressed_or_shelved
    assert alarm.state.condition == "active_unacknowledged"
    alarm.sounding(604.75, 1.0)
    assert alarm.state.name == "shelved"
    back = alarm.sounding(605.0, 1.0)
    assert told(back) == [("shelved", "active_unacknowledged")]
    assert back[-1] == Summary(
        count=2, worst_score=8.0, first_id="E1", last_id="E2", from_s=100.0, to_s=600.0
    )


def test_what_came_and_went_on_the_shelf_still_wants_to_be_acknowledged() -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    commands.shelve(alarm, 600.0, OPERATOR, 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 10.0)
    alarm.tick(60.0)
    assert told(alarm.tick(600.0)) == [("shelved", "returned_unacknowledged")]


def test_what_was_acknowledged_on_the_shelf_comes_back_acknowledged() -> None:
    alarm = sounding_alarm()
    commands.shelve(alarm, 600.0, OPERATOR, 5.0)
    outcome = commands.acknowledge(alarm, None, OPERATOR, 6.0)
    assert told(outcome.notices) == []
    alarm.sounding(599.0, 1.0)
    assert told(commands.unshelve(alarm, OPERATOR, 600.0).notices) == [("shelved", "normal")]


def test_a_coarse_clock_tells_what_a_fine_one_tells() -> None:
    """A shelf that ended before the return no longer hides it, however late it is looked at."""
    alarm = sounding_alarm()
    commands.shelve(alarm, 3.0, OPERATOR, 2.0)
    assert told(alarm.tick(1000.0)) == [
        ("shelved", "active_unacknowledged"),
        ("active_unacknowledged", "returned_unacknowledged"),
    ]


def test_a_one_shot_ends_with_the_condition() -> None:
    alarm = sounding_alarm()
    commands.shelve_once(alarm, OPERATOR, 2.0)
    notices = alarm.tick(100.0)
    assert told(notices) == [("shelved", "returned_unacknowledged")]
    assert alarm.state.shelving == "Unshelved"


def test_a_one_shot_waits_for_the_condition_to_come_first() -> None:
    alarm = Alarm(AlarmSettings(), 0.0)
    commands.shelve_once(alarm, OPERATOR, 0.0)
    alarm.tick(1000.0)
    assert alarm.state.name == "shelved"
    assert told(alarm.event("E1", 0.0, 1.0, 2.0, 1001.0)) == []
    assert told(alarm.tick(1100.0)) == [("shelved", "returned_unacknowledged")]


def test_a_one_shot_ends_at_the_longest_time_at_the_latest() -> None:
    """OPC UA part 9, 5.8.2: MaxTimeShelved."""
    alarm = sounding_alarm()
    commands.shelve_once(alarm, OPERATOR, 2.0)
    alarm.sounding(3600.0, 1.0)
    alarm.sounding(3602.0, 1.0)
    assert alarm.state.name == "returned_unacknowledged"


@pytest.mark.parametrize("for_s", [0.0, -5.0, 3600.25, float("nan"), float("inf")])
def test_a_shelving_time_out_of_range_is_refused(for_s: float) -> None:
    """OPC UA's Bad_ShelvingTimeOutOfRange."""
    alarm = sounding_alarm()
    outcome = commands.shelve(alarm, for_s, OPERATOR, 5.0)
    assert not outcome.accepted
    assert "at most 3600 s" in outcome.text
    assert alarm.state.name == "active_unacknowledged"


def test_out_of_service_hides_a_shelf_and_gives_it_back() -> None:
    alarm = sounding_alarm()
    commands.shelve(alarm, 600.0, OPERATOR, 5.0)
    commands.remove_from_service(alarm, OPERATOR, 6.0)
    back = commands.place_in_service(alarm, OPERATOR, 7.0)
    assert told(back.notices) == []
    (transition,) = back.notices
    assert isinstance(transition, Transition)
    assert (transition.before, transition.after) == ("out_of_service", "shelved")


LONG = {"by": Operator("x" * (MAX_BY_CHARS + 1)), "comment": Operator("x", "y" * 501)}


@pytest.mark.parametrize("what", LONG)
def test_a_name_or_comment_that_is_too_long_is_refused(what: str) -> None:
    assert MAX_COMMENT_CHARS == 500
    alarm = sounding_alarm()
    for command in (commands.shelve_once, commands.remove_from_service, commands.reset):
        outcome = command(alarm, LONG[what], 5.0)
        assert not outcome.accepted
        assert what in outcome.text
    assert alarm.state.name == "active_unacknowledged"


def test_a_comment_from_the_network_can_not_steer_a_terminal() -> None:
    operator = Operator("\x1b[2Jme", "line\nline")
    (transition,) = commands.acknowledge(sounding_alarm(), None, operator, 5.0).notices
    assert isinstance(transition, Transition)
    assert (transition.by + transition.comment).isprintable()


def test_a_command_s_time_passes_before_it_acts() -> None:
    alarm = sounding_alarm()
    outcome = commands.acknowledge(alarm, None, OPERATOR, 100.0)
    changes = [(n.before, n.after) for n in outcome.notices if isinstance(n, Transition)]
    assert changes == [
        ("active_unacknowledged", "returned_unacknowledged"),
        ("returned_unacknowledged", "normal"),
    ]
