"""The names of alarm states, and what an alarm says: its state, transitions, summaries, outcomes.

States are those of ISA-18.2 (IEC 62682); the flags beside them are OPC UA part 9's. Times with
`at_s`, `_s` are those of the caller's monotonic clock; `utc_s` counts from 1970.
"""

from __future__ import annotations

from typing import Literal

import msgspec

ConditionName = Literal[
    "normal",
    "active_unacknowledged",
    "active_acknowledged",
    "returned_unacknowledged",
    "latched_unacknowledged",
    "latched_acknowledged",
]
Silence = Literal["shelved", "out_of_service"]
StateName = Literal[ConditionName, Silence]
Cause = Literal[
    "event",
    "returned",
    "acknowledge",
    "reset",
    "shelve",
    "unshelve",
    "shelving_expired",
    "out_of_service",
    "in_service",
]
Shelving = Literal["Unshelved", "TimedShelved", "OneShotShelved"]  # OPC UA's ShelvedStateMachine
Suppression = Literal[Silence, "rate"]


def condition_name(*, active: bool, latched: bool, acknowledged: bool) -> ConditionName:
    """The ISA-18.2 state that the three flags of OPC UA stand for."""
    if active:
        return "active_acknowledged" if acknowledged else "active_unacknowledged"
    if latched:
        return "latched_acknowledged" if acknowledged else "latched_unacknowledged"
    return "normal" if acknowledged else "returned_unacknowledged"


class AlarmState(msgspec.Struct, frozen=True, kw_only=True):
    """What an alarm is now. Publish it, retained, whenever it differs from the one before."""

    name: StateName
    condition: ConditionName  # the same, unless shelved or out of service
    active: bool  # OPC UA: ActiveState
    acknowledged: bool  # AckedState
    latched: bool  # LatchedState: from the activation on until it is reset
    suspect: bool  # Quality: the input does not hear, so the condition is the last one known
    shelving: Shelving
    out_of_service: bool  # OutOfServiceState
    since_s: float  # when `name` began
    shelved_until_s: float | None
    last_event_id: str | None
    worst_score: float  # of the latest anomalies; 1 is the alarm level
    waiting: tuple[str, ...]  # events to acknowledge, oldest first; the latest 64
    waiting_count: int  # how many there are in all
    suppressed: int  # not annunciated since the last summary
    annunciated_total: int  # transitions that were annunciated, ever
    suppressed_total: int  # and those that were not, but would have been

    @property
    def suppressed_or_shelved(self) -> bool:
        """OPC UA's SuppressedOrShelved: nothing of it is annunciated."""
        return self.out_of_service or self.shelving != "Unshelved"


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """A change of state. Publish those that are not suppressed; annunciate those that say so."""

    before: StateName
    after: StateName  # while shelved or out of service: of the condition underneath
    cause: Cause
    at_s: float
    event_id: str | None  # the last event before it
    score: float  # the worst of the latest anomalies
    by: str = ""  # who commanded it
    comment: str = ""
    annunciated: bool = False
    suppressed_by: Suppression | None = None  # why it is not annunciated, though it would be


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What was suppressed, once annunciation is possible again. Is an annunciation itself."""

    count: int  # transitions
    worst_score: float
    first_id: str | None
    last_id: str | None
    from_s: float  # the first of them
    to_s: float  # the last of them


Notice = Transition | Summary


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a command."""

    accepted: bool
    text: str  # one line: what was done, or why not
    notices: list[Notice]
