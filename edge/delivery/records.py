"""What the outbox keeps: messages on their way, what was lost, and how much may wait."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from edge.section import Section


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be delivered for certain: QoS 1, not retained."""

    id: str  # a ULID; a subscriber tells repeats by it
    payload: bytes
    leaf: str = "event"  # the last level of its topic
    active: bool = False  # an alarm that stands: goes first, and is dropped last


class Numbered(msgspec.Struct, frozen=True):
    """A message that may wait in the outbox, with its number."""

    sequence: int
    id: str
    boot_id: str  # of the computer's run in which it was put
    leaf: str
    active: bool
    payload: bytes


class Waiting(msgspec.Struct, frozen=True):
    """A message that the broker does not have yet."""

    sequence: int
    id: str
    boot_id: str
    leaf: str
    active: bool
    attempts: int  # how often the broker refused it, or closed the connection right after it
    payload: bytes


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the waiting messages to look at."""

    only_active: bool = False
    boot_id: str | None = None
    without_leaves: tuple[str, ...] = ()

    def __contains__(self, message: Waiting) -> bool:
        return (
            (message.active or not self.only_active)
            and self.boot_id in {None, message.boot_id}
            and message.leaf not in self.without_leaves
        )


EVERYTHING = Wanted()


class Quarantined(msgspec.Struct, frozen=True):
    """A message that the broker can't take."""

    sequence: int
    id: str
    leaf: str
    bytes: int
    reason: str


class Loss(msgspec.Struct, frozen=True):
    """Messages that were dropped because too many waited."""

    count: int
    first_sequence: int
    last_sequence: int


class OutboxLimits(Section, frozen=True):
    """[outbox]: how much may wait for the broker."""

    max_rows: Annotated[int, Meta(ge=100, le=1_000_000)] = 100_000
    # of payload: 64 MiB are 100,000 events of 670 bytes
    max_bytes: Annotated[int, Meta(ge=1_048_576, le=17_179_869_184)] = 64 * 1_048_576


def add_loss(loss: Loss | None, sequences: list[int]) -> Loss | None:
    """A loss with more messages in it."""
    if not sequences:
        return loss
    more = Loss(len(sequences), min(sequences), max(sequences))
    return more if loss is None else merged(loss, more)


def merged(one: Loss | None, other: Loss | None) -> Loss | None:
    """Two losses as one."""
    if one is None or other is None:
        return one or other
    return Loss(
        one.count + other.count,
        min(one.first_sequence, other.first_sequence),
        max(one.last_sequence, other.last_sequence),
    )
