"""Where messages wait while the disk can't take them: few, and gone with the process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.delivery.records import Numbered, Waiting, add_loss

if TYPE_CHECKING:
    from edge.delivery.records import Loss, Wanted

MAX_MESSAGES = 1_000


class MemoryQueue:
    """Messages by number, oldest first; the oldest closed events are dropped first, as on disk."""

    def __init__(self, limit: int = MAX_MESSAGES) -> None:
        self._limit = limit
        self._waiting: dict[int, Waiting] = {}
        self._loss: Loss | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def bytes(self) -> int:
        """Of all payloads."""
        return sum(len(message.payload) for message in self._waiting.values())

    def add(self, message: Numbered) -> None:
        """Keep a message; where too many wait, another one is dropped for it."""
        if len(self._waiting) >= self._limit:
            oldest = min(self._waiting.values(), key=lambda m: (m.active, m.sequence))
            del self._waiting[oldest.sequence]
            self._loss = add_loss(self._loss, [oldest.sequence])
        self._waiting[message.sequence] = Waiting(
            message.sequence, message.id, message.boot_id, message.leaf, message.active, 0,
            message.payload,
        )  # fmt: skip

    def after(self, sequence: int, limit: int, wanted: Wanted) -> list[Waiting]:
        """The oldest with a larger number, of those that are wanted."""
        found = (m for m in self._waiting.values() if m.sequence > sequence and m in wanted)
        return [message for message, _ in zip(found, range(limit), strict=False)]

    def numbered(self, limit: int) -> list[Numbered]:
        """The oldest, to be moved to disk."""
        return [
            Numbered(m.sequence, m.id, m.boot_id, m.leaf, m.active, m.payload)
            for m in list(self._waiting.values())[:limit]
        ]

    def change(self, message: Waiting) -> None:
        """Replace what is kept under the message's number."""
        self._waiting[message.sequence] = message

    def get(self, sequence: int) -> Waiting | None:
        """One of them, if it is here."""
        return self._waiting.get(sequence)

    def delete(self, sequence: int) -> bool:
        """Forget one; whether it was here."""
        return self._waiting.pop(sequence, None) is not None

    def take_loss(self) -> Loss | None:
        """What was dropped since last asked."""
        loss, self._loss = self._loss, None
        return loss
