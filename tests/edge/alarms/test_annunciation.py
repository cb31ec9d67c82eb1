"""At most so many annunciations an hour, and a summary of the rest."""

from __future__ import annotations

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.commands import Operator
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import Notice, Summary, Transition

PERIOD_S = 60.0  # one short anomaly a minute: comes and goes


def chatter(alarm: Alarm, start_s: float, minutes: int) -> list[Notice]:
    notices: list[Notice] = []
    for minute in range(minutes):
        now_s = start_s + minute * PERIOD_S
        score = 9.5 if minute == 7 else 2.0
        notices += alarm.event(f"E{minute}", 0.0, 1.0, score, now_s)
        notices += alarm.tick(now_s + 30.0)
    return notices


def is_told(notice: Notice) -> bool:
    return isinstance(notice, Summary) or notice.annunciated


def test_a_chattering_machine_is_told_so_often_and_then_summarised() -> None:
    alarm = Alarm(AlarmSettings(max_per_hour=4), 0.0)
    notices = chatter(alarm, 0.0, 30)
    assert [is_told(n) for n in notices] == [True] * 4 + [False] * 56
    assert {n.suppressed_by for n in notices[4:] if isinstance(n, Transition)} == {"rate"}
    assert alarm.state.suppressed == 56
    assert alarm.tick(3599.75) == []
    assert alarm.tick(3600.0) == [
        Summary(count=56, worst_score=9.5, first_id="E2", last_id="E29", from_s=120.0, to_s=1770.0)
    ]
    assert alarm.state.suppressed == 0


def test_a_summary_takes_the_place_of_an_annunciation() -> None:
    alarm = Alarm(AlarmSettings(max_per_hour=1), 0.0)
    chatter(alarm, 0.0, 5)
    assert len(alarm.tick(3600.0)) == 1
    assert not any(map(is_told, chatter(alarm, 3601.0, 5)))
    (summary,) = alarm.tick(7200.0)
    assert isinstance(summary, Summary)
    assert summary.count == 10


def test_a_day_of_chatter_is_a_message_every_five_minutes_at_most_and_loses_none() -> None:
    alarm = Alarm(AlarmSettings(max_per_hour=12), 0.0)
    told = [n for n in chatter(alarm, 0.0, 24 * 60) if is_told(n)]
    assert len(told) <= 12 * 24
    summarised = sum(n.count for n in told if isinstance(n, Summary))
    single = sum(isinstance(n, Transition) for n in told)
    assert summarised + single + alarm.state.suppressed == 2 * 24 * 60


def test_commands_that_quieten_are_not_limited() -> None:
    alarm = Alarm(AlarmSettings(max_per_hour=1), 0.0)
    chatter(alarm, 0.0, 5)
    outcome = commands.acknowledge(alarm, None, Operator("me"), 400.0)
    (transition,) = outcome.notices
    assert isinstance(transition, Transition)
    assert transition.suppressed_by is None
    assert alarm.state.name == "normal"
