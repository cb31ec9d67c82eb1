"""Whatever happens in whatever order: the alarm is what a simple model says, and keeps its vows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.annunciation import HOUR_S
from edge.alarms.commands import Operator
from edge.alarms.record import encode, restore
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import Outcome, Summary
from tests.edge.alarms.model import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.alarms.states import AlarmState, Notice

SILENT = {"shelved", "out_of_service"}
MAX_SHELVE_S = 7200.0
OPERATOR = Operator("shift leader", "seen")
# Quarters of a second are exact in floating point, so equal times compare equal.
STEPS_S = st.integers(0, 80).map(lambda n: n / 4) | st.sampled_from([600.0, 3599.75, 3600.0, 1e6])
SETTINGS = st.builds(
    AlarmSettings,
    on_delay_s=st.sampled_from([0.0, 0.0, 2.0]),
    off_delay_s=st.sampled_from([0.0, 5.0, 10.0]),
    latching=st.booleans(),
    max_per_hour=st.integers(1, 4),
    max_shelve_s=st.just(MAX_SHELVE_S),
)
DURATIONS_S = st.integers(0, 60).map(lambda n: n / 4)


class AlarmKeepsItsVows(RuleBasedStateMachine):
    """Two alarms get the same; one of them is saved and restored now and then."""

    @initialize(settings=SETTINGS, start_s=st.sampled_from([0.0, 1e5, -50.0]))
    def start(self, settings: AlarmSettings, start_s: float) -> None:
        """A new alarm."""
        self.settings = settings
        self.now_s, self.utc_s = start_s, 1.7e9
        self.elapsed_s = 0.0  # true time, through power cuts
        self.alarm, self.twin = Alarm(self.settings, start_s), Alarm(self.settings, start_s)
        self.model = Model(self.settings)
        self.events = 0
        self.told_at_s: list[float] = []
        self.condition_transitions = self.summarised = 0

    def both(
        self, call: Callable[[Alarm, float], list[Notice] | Outcome], step_s: float
    ) -> list[Notice] | Outcome:
        """The same input for both alarms; what they say must be the same, and allowed."""
        before = self.alarm.state
        self.now_s, self.utc_s = self.now_s + step_s, self.utc_s + step_s
        self.elapsed_s += step_s
        result = call(self.alarm, self.now_s)
        assert call(self.twin, self.now_s) == result
        self.judge(before, result.notices if isinstance(result, Outcome) else result)
        return result

    def judge(self, before: AlarmState, notices: list[Notice]) -> None:
        """What was told, against the vows."""
        shows = str(before.name)
        for notice in notices:
            if isinstance(notice, Summary):
                assert shows not in SILENT
                self.summarised += notice.count
                self.told_at_s.append(self.elapsed_s)
                continue
            assert notice.before != notice.after
            if notice.before == shows:
                shows = notice.after
            if notice.annunciated:
                assert shows not in SILENT
                assert notice.suppressed_by is None
                self.told_at_s.append(self.elapsed_s)
            if notice.annunciated or notice.suppressed_by:
                self.condition_transitions += 1
        assert shows == self.alarm.state.name

    @rule(step_s=STEPS_S, duration_s=DURATIONS_S, score=st.floats(1, 50))
    def event(self, step_s: float, duration_s: float, score: float) -> None:
        """The detector reports an anomaly."""
        self.events += 1
        name = f"E{self.events}"
        self.both(lambda alarm, now_s: alarm.event(name, 0.0, duration_s, score, now_s), step_s)
        self.model.pass_time(step_s, duration_s)
        self.model.event()

    @rule(step_s=STEPS_S)
    def sounding(self, step_s: float) -> None:
        """The anomaly goes on."""
        self.both(lambda alarm, now_s: alarm.sounding(now_s, 1.5), step_s)
        self.model.pass_time(step_s)
        if self.model.active or self.model.held:
            self.model.quiet_s = 0.0

    @rule(step_s=STEPS_S)
    def tick(self, step_s: float) -> None:
        """Only time passes."""
        self.both(lambda alarm, now_s: alarm.tick(now_s), step_s)
        self.model.pass_time(step_s)

    @rule(step_s=STEPS_S, hears=st.booleans())
    def input_changes(self, step_s: float, hears: bool) -> None:
        """The microphone goes or comes."""
        self.both(
            lambda alarm, now_s: alarm.input_back(now_s) if hears else alarm.input_lost(now_s),
            step_s,
        )
        self.model.pass_time(step_s)
        self.model.hearing = hears
        self.model.appear()

    @rule(step_s=STEPS_S)
    def acknowledge(self, step_s: float) -> None:
        """All of it."""
        outcome = self.both(
            lambda alarm, now_s: commands.acknowledge(alarm, None, OPERATOR, now_s), step_s
        )
        assert isinstance(outcome, Outcome)
        assert outcome.accepted
        self.model.pass_time(step_s)
        self.model.unacknowledged = 0

    @rule(step_s=STEPS_S, back=st.integers(0, 8))
    def acknowledge_one(self, step_s: float, back: int) -> None:
        """An event, known or not."""
        name = f"E{self.events - back}"
        newer = self.newer_than(name)
        outcome = self.both(
            lambda alarm, now_s: commands.acknowledge(alarm, name, OPERATOR, now_s), step_s
        )
        assert isinstance(outcome, Outcome)
        self.model.pass_time(step_s)
        if newer is not None:
            assert outcome.accepted
            self.model.unacknowledged = newer

    def newer_than(self, name: str) -> int | None:
        """How many events wait that came after this one; None if it doesn't wait."""
        waiting = self.alarm.state.waiting
        return len(waiting) - waiting.index(name) - 1 if name in waiting else None

    @rule(step_s=STEPS_S)
    def reset(self, step_s: float) -> None:
        """Allowed when it has returned and is acknowledged."""
        outcome = self.both(lambda alarm, now_s: commands.reset(alarm, OPERATOR, now_s), step_s)
        assert isinstance(outcome, Outcome)
        self.model.pass_time(step_s)
        if self.settings.on_delay_s == 0:
            barred = self.model.latched and (self.model.active or self.model.unacknowledged)
            assert outcome.accepted == (not barred)
        if outcome.accepted:
            self.model.latched = False

    @rule(step_s=STEPS_S, for_s=st.sampled_from([-1.0, 0.25, 60.0, 3600.0, MAX_SHELVE_S, 1e9]))
    def shelve(self, step_s: float, for_s: float) -> None:
        """For a time within the limit."""
        outcome = self.both(
            lambda alarm, now_s: commands.shelve(alarm, for_s, OPERATOR, now_s), step_s
        )
        assert isinstance(outcome, Outcome)
        assert outcome.accepted == (0 < for_s <= MAX_SHELVE_S)
        self.model.pass_time(step_s)
        if outcome.accepted:
            self.model.shelf_s, self.model.one_shot = for_s, False

    @rule(step_s=STEPS_S)
    def shelve_once(self, step_s: float) -> None:
        """Until the condition returns."""
        self.both(lambda alarm, now_s: commands.shelve_once(alarm, OPERATOR, now_s), step_s)
        self.model.pass_time(step_s)
        if not self.model.one_shot:
            self.model.shelf_s, self.model.one_shot = MAX_SHELVE_S, True

    @rule(step_s=STEPS_S)
    def unshelve(self, step_s: float) -> None:
        """At any time."""
        self.both(lambda alarm, now_s: commands.unshelve(alarm, OPERATOR, now_s), step_s)
        self.model.pass_time(step_s)
        self.model.shelf_s, self.model.one_shot = None, False

    @rule(step_s=STEPS_S, out=st.booleans())
    def service(self, step_s: float, out: bool) -> None:
        """Maintenance comes and goes."""
        command = commands.remove_from_service if out else commands.place_in_service
        self.both(lambda alarm, now_s: command(alarm, OPERATOR, now_s), step_s)
        self.model.pass_time(step_s)
        self.model.out_of_service = out

    @rule()
    def save_and_restore(self) -> None:
        """Makes no difference at any point."""
        data = encode(self.twin, self.now_s, self.utc_s)
        self.twin, note = restore(data, self.settings, self.now_s, self.utc_s)
        assert note is None

    @rule(off_s=STEPS_S, fast_s=st.sampled_from([0.0, 0.0, -1_209_600.0]))
    def power_cut(self, off_s: float, fast_s: float) -> None:
        """I04: a new monotonic clock; the wall clock may come back two weeks behind."""
        data = encode(self.alarm, self.now_s, self.utc_s)
        self.elapsed_s += off_s
        self.now_s, self.utc_s = 3.0, self.utc_s + off_s + fast_s
        self.alarm, note = restore(data, self.settings, self.now_s, self.utc_s)
        self.twin, _ = restore(data, self.settings, self.now_s, self.utc_s)
        assert note is None
        if fast_s == 0 and self.model.shelf_s is not None:
            self.model.shelf_s -= off_s
        self.tick(0.0)

    @precondition(lambda self: self.settings.on_delay_s == 0)
    @invariant()
    def is_what_the_model_says(self) -> None:
        """After every step."""
        state = self.alarm.state
        assert state.name == self.model.name
        assert state.active == self.model.active
        assert state.acknowledged == (not self.model.unacknowledged)
        assert state.latched == self.model.latched
        assert state.suspect == (not self.model.hearing)

    @invariant()
    def no_hour_has_too_many(self) -> None:
        """Transitions and summaries together."""
        last = [at_s for at_s in self.told_at_s if self.elapsed_s - at_s < HOUR_S]
        assert len(last) <= self.settings.max_per_hour

    @invariant()
    def nothing_is_lost_silently(self) -> None:
        """Every transition of the condition is annunciated, or counted in a summary to come."""
        state = self.alarm.state
        assert state.annunciated_total + state.suppressed_total == self.condition_transitions
        assert self.summarised + state.suppressed == state.suppressed_total


TestAlarmKeepsItsVows = AlarmKeepsItsVows.TestCase
TestAlarmKeepsItsVows.settings = hypothesis_settings(
    max_examples=150, stateful_step_count=40, deadline=None
)
