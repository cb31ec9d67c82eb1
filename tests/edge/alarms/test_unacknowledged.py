"""An alarm that nobody has acknowledged doesn't go away, whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.commands import Operator
from edge.alarms.record import encode, restore
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import Summary, Transition

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.alarms.states import Notice

OPERATOR = Operator("shift leader", "seen")


class UnacknowledgedStays(RuleBasedStateMachine):
    """Without an acknowledgement, no input and no other command makes an alarm normal."""

    def __init__(self) -> None:
        super().__init__()
        self.alarm = Alarm(AlarmSettings(latching=False), 0.0)
        self.notices = self.alarm.event("E1", 0.0, 1.0, 2.0, 0.0)

    # Any clock at all: backwards, far ahead, not a number.
    @rule(
        call=st.sampled_from(
            [
                lambda alarm, t: alarm.event("E", 0.0, t, t, t),
                lambda alarm, t: alarm.event("", t, 0.0, 1.0, t),
                lambda alarm, t: alarm.sounding(t, t),
                lambda alarm, t: alarm.tick(t),
                lambda alarm, t: alarm.input_lost(t),
                lambda alarm, t: alarm.input_back(t),
                lambda alarm, t: commands.acknowledge(alarm, "unknown", OPERATOR, t).notices,
                lambda alarm, t: commands.acknowledge(alarm, None, Operator("x" * 99), t).notices,
                lambda alarm, t: commands.reset(alarm, OPERATOR, t).notices,
                lambda alarm, t: commands.shelve(alarm, t, OPERATOR, t).notices,
                lambda alarm, t: commands.shelve(alarm, 60.0, OPERATOR, t).notices,
                lambda alarm, t: commands.shelve_once(alarm, OPERATOR, t).notices,
                lambda alarm, t: commands.unshelve(alarm, OPERATOR, t).notices,
                lambda alarm, t: commands.remove_from_service(alarm, OPERATOR, t).notices,
                lambda alarm, t: commands.place_in_service(alarm, OPERATOR, t).notices,
            ]
        ),
        now_s=st.floats() | st.floats(0, 1e5),
    )
    def anything(self, call: Callable[[Alarm, float], list[Notice]], now_s: float) -> None:
        """But an acknowledgement."""
        self.notices = call(self.alarm, now_s)

    @rule(now_s=st.floats() | st.floats(0, 1e5), utc_s=st.floats(), later_utc_s=st.floats())
    def power_cut(self, now_s: float, utc_s: float, later_utc_s: float) -> None:
        """With any clocks."""
        data = encode(self.alarm, now_s, utc_s)
        self.alarm, note = restore(data, AlarmSettings(), now_s, later_utc_s)
        self.notices = []
        assert note is None

    @invariant()
    def still_unacknowledged(self) -> None:
        """Shown, or hidden by a shelf, or out of service."""
        state = self.alarm.state
        assert not state.acknowledged
        assert state.condition in {"active_unacknowledged", "returned_unacknowledged"}
        for notice in self.notices:
            assert isinstance(notice, Summary) or notice.after != "normal"
            assert not isinstance(notice, Transition) or notice.at_s == self.alarm.now_s


TestUnacknowledgedStays = UnacknowledgedStays.TestCase
TestUnacknowledgedStays.settings = hypothesis_settings(
    max_examples=100, stateful_step_count=30, deadline=None
)
