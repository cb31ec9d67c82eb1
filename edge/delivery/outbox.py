"""Messages on disk until the broker has acknowledged them; in memory while the disk can't.

What `put` returned for while `durable` is true survives kill -9 and a power cut. A disk that is
full, read-only or failing is tried again every few seconds; until then up to 1,000 messages wait
in memory. A damaged file is moved aside and a new one is made. None of it ends the node.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from edge.delivery.boot import boot_id
from edge.delivery.disk import Disk
from edge.delivery.memory import MemoryQueue
from edge.delivery.quiet_log import QuietLog
from edge.delivery.records import EVERYTHING, Numbered, OutboxLimits, merged
from edge.delivery.written import WrittenBytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge.delivery.records import Loss, Outgoing, Quarantined, Waiting, Wanted
    from edge.delivery.store import EventStore

log = logging.getLogger(__name__)

FILE_NAME = "outbox.sqlite"
TELL_LOSS_S = 600.0
MOVE_ROWS = 200  # from memory to disk in one transaction


class Outbox:
    """A queue of numbered messages, oldest first. Used from one thread.

    Args:
        state_dir: the folder of the file.
        limits: how much may wait.
        now_s: a clock that never goes back.

    Raises:
        EarpatchError: only when made: the folder can't be one, or another node uses it.
    """

    def __init__(
        self,
        state_dir: Path,
        limits: OutboxLimits | None = None,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = state_dir / FILE_NAME
        self.limits = limits or OutboxLimits()
        self._disk = Disk(self.path, now_s)
        self._memory = MemoryQueue()
        self._complaints = QuietLog(log, now_s)
        self._written = WrittenBytes(now_s=now_s)
        self._now_s = now_s
        self._tell_loss_s = now_s()
        self._last = self._disk.last_used()
        # What the disk couldn't be told yet: removed (and why, if quarantined), and attempts.
        self._removed: dict[int, str | None] = {}
        self._attempts: dict[int, int] = {}

    def __len__(self) -> int:
        stored = self._disk.store.rows if self._disk.store else 0
        return max(0, stored - len(self._removed)) + len(self._memory)

    @property
    def waiting(self) -> int:
        """How many messages wait."""
        return len(self)

    @property
    def waiting_bytes(self) -> int:
        """Payload that waits, in bytes."""
        return (self._disk.store.bytes if self._disk.store else 0) + self._memory.bytes

    @property
    def durable(self) -> bool:
        """Whether all that waits is on disk."""
        return not len(self._memory)

    @property
    def trouble(self) -> str | None:
        """Why the disk takes nothing; None while it does."""
        return self._disk.problem

    @property
    def recovered_from(self) -> Path | None:
        """Where a damaged outbox lies that was replaced since this one was opened."""
        return self._disk.recovered_from

    @property
    def bytes_written_today(self) -> int | None:
        """What this process wrote to storage in the last 24 hours; None where unknown."""
        return self._written.last_day()

    def next_sequence(self) -> int:
        """The number that the next message will get; never used before."""
        return self._last + 1

    def put(self, message: Outgoing) -> int:
        """Keep a message and return its number; on disk if `durable` is true afterwards."""
        self._last += 1
        m = Numbered(
            self._last, message.id, boot_id(), message.leaf, message.active, message.payload
        )
        self._catch_up()
        if len(self._memory) or not self._disk.write(lambda store: self._insert(store, [m])):
            self._memory.add(m)
        self._written.last_day()
        return m.sequence

    def after(self, sequence: int, limit: int, wanted: Wanted = EVERYTHING) -> list[Waiting]:
        """At most `limit` waiting messages with a larger number, oldest first."""
        self._catch_up()
        found: list[Waiting] = []
        while len(found) < limit:
            page, damaged = self._page(sequence, limit - len(found), wanted)
            if not page and not damaged:
                break
            sequence = max([row.sequence for row in page] + damaged)
            found += [self._corrected(row) for row in page if row.sequence not in self._removed]
            for number in set(damaged) - self._removed.keys():
                self.quarantine(number, "damaged on disk")
        return found + self._memory.after(sequence, limit - len(found), wanted)

    def get(self, sequence: int) -> Waiting | None:
        """One waiting message."""
        found = self.after(sequence - 1, 1)
        return found[0] if found and found[0].sequence == sequence else None

    def of_boot(self, boot: str, sequence: int, limit: int) -> list[Waiting]:
        """As `after`, of those that were put in one run of the computer."""
        return self.after(sequence, limit, msgspec.structs.replace(EVERYTHING, boot_id=boot))

    def delete(self, *sequences: int) -> None:
        """The broker has these."""
        stored = [s for s in sequences if not self._memory.delete(s)]
        if stored and not self._disk.write(lambda store: store.delete(stored)):
            self._removed.update(dict.fromkeys(stored))

    def quarantine(self, sequence: int, reason: str) -> None:
        """Take a message out of the way: the broker can't take it, and never will."""
        self._complaints.warn("quarantine", f"event {sequence} is not delivered: {reason}")
        if self._memory.delete(sequence):
            return
        if not self._disk.write(lambda store: store.quarantine(sequence, reason)):
            self._removed[sequence] = reason

    def attempted(self, sequence: int) -> None:
        """The broker refused this one, or closed the connection right after it."""
        if message := self._memory.get(sequence):
            more = msgspec.structs.replace(message, attempts=message.attempts + 1)
            self._memory.change(more)
        elif not self._disk.write(lambda store: store.attempted(sequence)):
            self._attempts[sequence] = self._attempts.get(sequence, 0) + 1

    def replace(self, sequence: int, payload: bytes) -> bool:
        """Correct what an unsent message says; whether that is kept."""
        if message := self._memory.get(sequence):
            self._memory.change(msgspec.structs.replace(message, payload=payload))
            return True
        return self._disk.write(lambda store: store.replace(sequence, payload))

    def quarantined(self, limit: int = 100) -> list[Quarantined]:
        """What the broker could not take, newest first."""
        return self._disk.read(lambda store: store.quarantined(limit), [])

    def take_loss(self) -> Loss | None:
        """What was dropped since last told because too many waited; told every ten minutes.

        To tell of it takes a place in the outbox, which may cost another message its own.
        """
        if self._now_s() < self._tell_loss_s:
            return None
        stored = self._disk.read(lambda store: store.take_loss(), None)
        loss = merged(self._memory.take_loss(), stored)
        if loss is not None:
            self._tell_loss_s = self._now_s() + TELL_LOSS_S
        return loss

    def close(self) -> None:
        """Let go of the file."""
        self._catch_up()
        if len(self._memory):
            log.error("events lost, since the disk took nothing: %d", len(self._memory))
        self._disk.close()

    def _insert(self, store: EventStore, messages: list[Numbered]) -> None:
        self._disk.reserve(messages[-1].sequence)
        store.insert(messages, self.limits)

    def _page(self, sequence: int, limit: int, wanted: Wanted) -> tuple[list[Waiting], list[int]]:
        nothing: tuple[list[Waiting], list[int]] = ([], [])
        return self._disk.read(lambda store: store.after(sequence, limit, wanted), nothing)

    def _corrected(self, row: Waiting) -> Waiting:
        more = self._attempts.get(row.sequence, 0)
        return msgspec.structs.replace(row, attempts=row.attempts + more) if more else row

    def _catch_up(self) -> None:
        """Tell the disk what it couldn't be told before, if it takes something by now."""
        while self._removed and self._disk.write(self._remove_some):
            pass
        while len(self._memory) and self._disk.write(
            lambda store: self._insert(store, self._memory.numbered(MOVE_ROWS))
        ):
            for message in self._memory.numbered(MOVE_ROWS):
                self._memory.delete(message.sequence)

    def _remove_some(self, store: EventStore) -> None:
        some = list(self._removed.items())[:MOVE_ROWS]
        store.delete([sequence for sequence, reason in some if reason is None])
        for sequence, reason in some:
            if reason is not None:
                store.quarantine(sequence, reason)
        for sequence, _ in some:
            del self._removed[sequence]
            self._attempts.pop(sequence, None)
