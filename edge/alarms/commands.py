"""What an operator may do to an alarm. Every command is answered; none raises, whatever it holds.

A repeated command (QoS 1 delivers twice at times) is accepted and says that nothing was to do. The
rules for refusals are OPC UA part 9's: Acknowledge 5.7.3, Reset 5.8.5, TimedShelve and
OneShotShelve 5.8.17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge.alarms.alarm import cleaned
from edge.alarms.states import Outcome
from edge.words import printable

if TYPE_CHECKING:
    from edge.alarms.alarm import Alarm
    from edge.alarms.states import AlarmState, Cause, Notice, Shelving

MAX_BY_CHARS, MAX_COMMENT_CHARS = 64, 500


class Operator(msgspec.Struct, frozen=True):
    """Who commands, and why; both go into the transition."""

    by: str
    comment: str = ""

    def refusal(self) -> str | None:
        """Why this can't be kept."""
        if len(self.by) > MAX_BY_CHARS:
            return f"'by' has {len(self.by)} characters; at most {MAX_BY_CHARS}"
        if len(self.comment) > MAX_COMMENT_CHARS:
            return f"the comment has {len(self.comment)} characters; at most {MAX_COMMENT_CHARS}"
        return None


class _Command:
    """One command on its way: time first, then the change, then the answer."""

    def __init__(self, alarm: Alarm, operator: Operator, now_s: float) -> None:
        self._alarm, self._operator = alarm, operator
        self._notices: list[Notice] = alarm.advance(now_s)
        self.before: AlarmState = alarm.state

    def refused(self, reason: str) -> Outcome:
        return self._outcome(reason, accepted=False)

    def idle(self, text: str) -> Outcome:
        return self._outcome(text, accepted=True)

    def done(self, cause: Cause, text: str) -> Outcome:
        self._alarm.revision += 1
        by, comment = printable(self._operator.by), printable(self._operator.comment)
        self._notices += self._alarm.changed_from(self.before, cause, by, comment)
        return self._outcome(text, accepted=True)

    def _outcome(self, text: str, *, accepted: bool) -> Outcome:
        notices = [*self._notices, *self._alarm.summarise()]
        return Outcome(accepted=accepted, text=text, notices=notices)


def acknowledge(alarm: Alarm, event_id: str | None, operator: Operator, now_s: float) -> Outcome:
    """Acknowledge one event and all before it, or everything that waits."""
    command, waiting = _Command(alarm, operator, now_s), alarm.waiting
    if reason := operator.refusal():
        return command.refused(reason)
    event_id = None if event_id is None else cleaned(event_id)
    if event_id is not None and event_id not in waiting.listed:
        if event_id in waiting.acknowledged:
            return command.idle(f"event {event_id} is acknowledged already")
        return command.refused(f"event {event_id} does not wait for an acknowledgement")
    if not len(waiting):
        return command.idle("nothing waits for an acknowledgement")
    count = waiting.acknowledge_up_to(event_id)
    still = f"; {len(waiting)} still wait" if len(waiting) else ""
    return command.done("acknowledge", f"acknowledged {count} event{'s' * (count > 1)}{still}")


def reset(alarm: Alarm, operator: Operator, now_s: float) -> Outcome:
    """Unlatch an alarm that has returned and is acknowledged."""
    command = _Command(alarm, operator, now_s)
    if reason := operator.refusal():
        return command.refused(reason)
    if not alarm.latched:
        return command.idle("nothing is latched")
    if alarm.condition.present:
        return command.refused("the machine still sounds wrong; reset when it has returned")
    if len(alarm.waiting):
        return command.refused("acknowledge first, then reset")
    alarm.latched = False
    return command.done("reset", "reset")


def shelve(alarm: Alarm, for_s: float, operator: Operator, now_s: float) -> Outcome:
    """Shelve for a time; again: for that time from now."""
    return _shelve(alarm, "TimedShelved", for_s, operator, now_s)


def shelve_once(alarm: Alarm, operator: Operator, now_s: float) -> Outcome:
    """Shelve until the condition returns, and no longer than `max_shelve_s`."""
    return _shelve(alarm, "OneShotShelved", alarm.settings.max_shelve_s, operator, now_s)


def unshelve(alarm: Alarm, operator: Operator, now_s: float) -> Outcome:
    """Back to what the condition is."""
    command = _Command(alarm, operator, now_s)
    if reason := operator.refusal():
        return command.refused(reason)
    if not alarm.shelf.occupied:
        return command.idle("not shelved")
    alarm.shelf.clear()
    return command.done("unshelve", "unshelved")


def remove_from_service(alarm: Alarm, operator: Operator, now_s: float) -> Outcome:
    """Out of service until it is put back: for maintenance."""
    command = _Command(alarm, operator, now_s)
    if reason := operator.refusal():
        return command.refused(reason)
    if alarm.out_of_service:
        return command.idle("out of service already")
    alarm.out_of_service = True
    return command.done("out_of_service", "out of service")


def place_in_service(alarm: Alarm, operator: Operator, now_s: float) -> Outcome:
    """Back to what the condition is, or to a shelf on which it still lies."""
    command = _Command(alarm, operator, now_s)
    if reason := operator.refusal():
        return command.refused(reason)
    if not alarm.out_of_service:
        return command.idle("in service already")
    alarm.out_of_service = False
    return command.done("in_service", "in service")


def _shelve(
    alarm: Alarm, shelving: Shelving, for_s: float, operator: Operator, now_s: float
) -> Outcome:
    command, shelf = _Command(alarm, operator, now_s), alarm.shelf
    if reason := operator.refusal() or shelf.refusal(for_s):
        return command.refused(reason)
    if shelving == shelf.shelving == "OneShotShelved":
        return command.idle("shelved already, until the condition returns")
    shelf.put(shelving, alarm.now_s + for_s)
    once = ", or until the condition returns" if shelving == "OneShotShelved" else ""
    return command.done("shelve", f"shelved for {for_s:g} s{once}")
