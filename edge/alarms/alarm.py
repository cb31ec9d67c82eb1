"""One alarm: a state machine without threads, clocks or files. docs/alarms.md has its table.

Underneath are a condition (is the machine wrong?), what waits for an acknowledgement, and a latch.
Over it lie out of service and shelving: they silence the alarm, and it goes on underneath.

Every input returns what is to be told: transitions and summaries. A clock that goes backwards or is
not a number stands still instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.alarms.annunciation import Annunciator
from edge.alarms.condition import Condition
from edge.alarms.shelf import Shelf
from edge.alarms.states import AlarmState, Transition, condition_name
from edge.alarms.waiting import LISTED, Waiting
from edge.words import printable

if TYPE_CHECKING:
    from edge.alarms.settings import AlarmSettings
    from edge.alarms.states import Cause, ConditionName, Notice, Silence, StateName

MAX_SCORE = 1e9
MAX_CLOCK_S = 1e12  # beyond it, seconds lose their fractions
MAX_ID_CHARS = 128
# They make an alarm quieter, so they are told to the one who commands and to nobody else.
QUIETING: frozenset[Cause] = frozenset({"acknowledge", "reset", "shelve", "out_of_service"})


class Alarm:
    """Inputs in, notices out; `edge.alarms.commands` holds what an operator may do to it.

    Args:
        settings: delays, latching, limits.
        now_s: the caller's monotonic clock.
    """

    def __init__(self, settings: AlarmSettings, now_s: float) -> None:
        now_s = now_s if abs(now_s) <= MAX_CLOCK_S else 0.0
        self.settings = settings
        self.condition = Condition(settings.on_delay_s, settings.off_delay_s, now_s)
        self.shelf = Shelf(settings.max_shelve_s)
        self.annunciator = Annunciator(settings.max_per_hour)
        self.waiting = Waiting()
        self.pending: list[str] = []  # events of an episode that isn't an alarm yet
        self.pending_older = 0
        self.latched = False
        self.out_of_service = False
        self.since_s = now_s
        self.last_event_id: str | None = None
        self.worst_score = 0.0
        self.revision = 0  # counts what has to survive a power cut

    @property
    def now_s(self) -> float:
        """The latest time that it was told."""
        return self.condition.now_s

    def no_earlier(self, now_s: float) -> float:
        """This time, or the latest known one if it is before that or none at all."""
        return now_s if self.now_s <= now_s <= MAX_CLOCK_S else self.now_s

    @property
    def state(self) -> AlarmState:
        """What it is now."""
        return AlarmState(
            name=self.name,
            condition=self.condition_name,
            active=self.condition.present,
            acknowledged=not len(self.waiting),
            latched=self.latched,
            suspect=not self.condition.hearing,
            shelving=self.shelf.shelving,
            out_of_service=self.out_of_service,
            since_s=self.since_s,
            shelved_until_s=self.shelf.until_s,
            last_event_id=self.last_event_id,
            worst_score=self.worst_score,
            waiting=tuple(self.waiting.listed),
            waiting_count=len(self.waiting),
            suppressed=self.annunciator.backlog.count if self.annunciator.backlog else 0,
            annunciated_total=self.annunciator.annunciated_total,
            suppressed_total=self.annunciator.suppressed_total,
        )

    @property
    def condition_name(self) -> ConditionName:
        """The state underneath."""
        return condition_name(
            active=self.condition.present,
            latched=self.latched and not self.condition.present,
            acknowledged=not len(self.waiting),
        )

    @property
    def name(self) -> StateName:
        """The state that shows."""
        return self._gate or self.condition_name

    def event(
        self, event_id: str, start_s: float, end_s: float, score: float, now_s: float
    ) -> list[Notice]:
        """An anomaly event was reported now; only how long it was matters of its times.

        While the input is lost it waits: it was heard before the loss, and counts once sound is
        back.
        """
        duration_s = end_s - start_s
        duration_s = duration_s if 0.0 <= duration_s <= MAX_CLOCK_S else 0.0
        notices = self.advance(now_s, duration_s)
        event_id = cleaned(event_id)
        self.condition.event(duration_s)
        self._note_score(score)
        self.last_event_id = event_id
        if not self.condition.present:
            self.pending_older += len(self.pending) == LISTED
            self.pending = [*self.pending, event_id][-LISTED:]
            self.revision += not self.condition.hearing
        elif len(self.waiting):
            self.waiting.add([event_id])
            self.revision += 1
        else:  # an alarm that was acknowledged goes on
            self.waiting.note_acknowledged([event_id])
        return [*notices, *self._appear(), *self.summarise()]

    def sounding(self, now_s: float, score: float) -> list[Notice]:
        """The evidence is above the release level now; prolongs an anomaly, begins none."""
        notices = self.advance(now_s)
        self.condition.sounding()
        if self.condition.episode:
            self._note_score(score)
        return [*notices, *self._appear(), *self.summarise()]

    def tick(self, now_s: float) -> list[Notice]:
        """Time passes."""
        return [*self.advance(now_s), *self.summarise()]

    def input_lost(self, now_s: float) -> list[Notice]:
        """Nothing is heard from now on: the alarm keeps its state and is suspect."""
        notices = self.advance(now_s)
        self.condition.hearing = False
        return [*notices, *self.summarise()]

    def input_back(self, now_s: float) -> list[Notice]:
        """The input hears again, or still. Say so once after every start."""
        notices = self.advance(now_s)
        self.condition.hearing = True
        return [*notices, *self._appear(), *self.summarise()]

    def advance(self, now_s: float, anomaly_s: float = 0.0) -> list[Notice]:
        """What has fallen due, in its order."""
        now_s = self.no_earlier(now_s)
        self.condition.pass_time(now_s, anomaly_s)
        notices = self.summarise()
        gone_at_s, until_s = self.condition.gone_at_s(), self.shelf.until_s
        expires = until_s is not None and until_s <= now_s
        if expires and until_s is not None and (gone_at_s is None or until_s <= gone_at_s):
            notices += self._expire()
        if gone_at_s is not None:
            notices += self._return()
        if self.shelf.until_s is not None and self.shelf.until_s <= now_s:
            notices += self._expire()
        return notices

    def summarise(self) -> list[Notice]:
        """A summary, if something was suppressed and may be told now."""
        summary = None if self._gate else self.annunciator.summary(self.now_s)
        self.revision += summary is not None
        return [summary] if summary else []

    def changed_from(
        self, before: AlarmState, cause: Cause, by: str = "", comment: str = ""
    ) -> list[Notice]:
        """The transition from a state to what the alarm is now, told or counted; none if equal."""
        seen = self.name != before.name
        if not seen and self.condition_name == before.condition:
            return []
        self.since_s = self.now_s if seen else self.since_s
        self.revision += 1
        transition = Transition(
            before=before.name if seen else before.condition,
            after=self.name if seen else self.condition_name,
            cause=cause,
            at_s=self.now_s,
            event_id=self.last_event_id,
            score=self.worst_score,
            by=by,
            comment=comment,
        )
        if cause in QUIETING or (seen and self._gate):
            return [transition]
        return [self.annunciator.offer(transition, self._gate)]

    @property
    def _gate(self) -> Silence | None:
        if self.out_of_service:
            return "out_of_service"
        return "shelved" if self.shelf.occupied else None

    def _appear(self) -> list[Notice]:
        before = self.state
        if not self.condition.appears():
            return []
        self.waiting.add(self.pending, self.pending_older)
        self.pending, self.pending_older = [], 0
        self.latched = self.latched or self.settings.latching
        return self.changed_from(before, "event")

    def _return(self) -> list[Notice]:
        before = self.state
        was_present = self.condition.present
        self.condition.end()
        self.pending, self.pending_older = [], 0
        notices = self.changed_from(before, "returned")
        if was_present and self.shelf.shelving == "OneShotShelved":
            before = self.state
            self.shelf.clear()
            notices += self.changed_from(before, "returned")
        return notices

    def _expire(self) -> list[Notice]:
        before = self.state
        self.shelf.clear()
        self.revision += 1
        return self.changed_from(before, "shelving_expired")

    def _note_score(self, score: float) -> None:
        score = min(score, MAX_SCORE) if score > 0 else 0.0  # not a number counts as nothing
        begins = not self.condition.present and not self.pending
        self.worst_score = score if begins else max(self.worst_score, score)


def cleaned(text: str) -> str:
    """An id as it is kept: printable, and no longer than what is read back."""
    return printable(text[:MAX_ID_CHARS])[:MAX_ID_CHARS]
