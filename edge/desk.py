"""The alarm desk: one alarm for each input, what operators do to them, and what is told of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from edge.alarms.states import Summary, Transition
from edge.alarms.store import AlarmStore
from edge.delivery.status import AlarmStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge.alarms.alarm import Alarm
    from edge.alarms.settings import AlarmSettings
    from edge.alarms.states import Notice, Outcome
    from edge.clock import Clock
    from edge.inputs import Input

log = logging.getLogger(__name__)

HEARD = {"hearing"}
NOT_TOLD = {"starting", "ended"}  # neither lost nor back


class AlarmDesk:
    """Keeps the alarms of some inputs through a power cut.

    Args:
        inputs: each has one alarm.
        settings: of all of them.
        folder: for the files.
        clock: monotonic and UTC.
        tell: what is called with every notice.
    """

    def __init__(
        self,
        inputs: Sequence[Input],
        settings: AlarmSettings,
        folder: Path,
        clock: Clock,
        tell: Callable[[Input, Notice], None],
    ) -> None:
        self._clock, self._tell = clock, tell
        self._inputs = {each.name: each for each in inputs}
        self._alarms: dict[str, Alarm] = {}
        self._stores: dict[str, AlarmStore] = {}
        self._heard: dict[str, bool | None] = dict.fromkeys(self._inputs)
        for name in self._inputs:
            store = self._stores[name] = AlarmStore(folder / f"alarm-{name}.json")
            alarm, note = store.open(settings, clock.monotonic_s(), clock.utc_s)
            self._alarms[name] = alarm
            if note:
                log.warning("input %s: %s", name, note)

    def event(self, name: str, event_id: str, start_s: float, end_s: float, score: float) -> None:
        """An event of an input was kept."""
        now_s = self._clock.monotonic_s()
        self._done(name, self._alarms[name].event(event_id, start_s, end_s, score, now_s))

    def sounding(self, name: str, score: float) -> None:
        """The evidence is still above the release level: an alarm that is active stays so."""
        notices = self._alarms[name].sounding(self._clock.monotonic_s(), score)
        self._done(name, notices)

    def tick(self) -> None:
        """Time passes, and inputs come and go."""
        for name, alarm in self._alarms.items():
            now_s, state = self._clock.monotonic_s(), self._inputs[name].state
            heard = self._heard[name] if state in NOT_TOLD else state in HEARD
            notices = []
            if heard is not None and heard != self._heard[name]:
                notices = alarm.input_back(now_s) if heard else alarm.input_lost(now_s)
                self._heard[name] = heard
            self._done(name, [*notices, *alarm.tick(now_s)])

    def command(self, name: str, act: Callable[[Alarm, float], Outcome]) -> Outcome:
        """Do to one alarm what an operator wants."""
        outcome = act(self._alarms[name], self._clock.monotonic_s())
        self._done(name, outcome.notices)
        return outcome

    def status(self, name: str) -> AlarmStatus:
        """How one alarm stands, for the state message."""
        state, clock = self._alarms[name].state, self._clock
        until_s = state.shelved_until_s
        return AlarmStatus(
            name=state.name,
            condition=state.condition,
            active=state.active,
            acknowledged=state.acknowledged,
            latched=state.latched,
            suspect=state.suspect,
            shelving=state.shelving,
            shelved_for_s=None if until_s is None else round(until_s - clock.monotonic_s()),
            out_of_service=state.out_of_service,
            since_utc=clock.utc(state.since_s),
            last_event_id=state.last_event_id,
            worst_score=round(state.worst_score, 4),
            unacknowledged=list(state.waiting),
            unacknowledged_count=state.waiting_count,
            suppressed=state.suppressed,
        )

    def revision(self) -> tuple[object, ...]:
        """Something else whenever an alarm is to be told anew; not for every louder moment."""
        return tuple(
            msgspec.structs.replace(alarm.state, worst_score=0.0, since_s=0.0)
            for alarm in self._alarms.values()
        )

    def active(self, name: str) -> bool:
        """Whether the condition is present now."""
        return self._alarms[name].state.active

    def _done(self, name: str, notices: list[Notice]) -> None:
        for notice in notices:
            self._tell(self._inputs[name], notice)
        reason = self._stores[name].save(
            self._alarms[name], self._clock.monotonic_s(), self._clock.utc_s
        )
        if reason:
            log.warning("input %s: %s", name, reason)


def is_told(notice: Notice) -> bool:
    """Whether a notice goes to subscribers: what is suppressed is counted, and summarised later."""
    return isinstance(notice, Summary) or (
        isinstance(notice, Transition) and notice.suppressed_by is None
    )
