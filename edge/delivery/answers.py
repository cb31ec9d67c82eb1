"""Answers on their way: bounded, or a broker that acknowledges none would fill the memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.delivery.session import Session

MOST, MOST_BYTES = 200, 4 << 20  # a snapshot has some 45 and 3 MB


class Answers:
    """What the broker has not acknowledged of one session, by message id."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._sizes: dict[int, int] = {}

    def say(self, session: Session, topic: str, payload: bytes) -> bool:
        """Publish, unless too much waits already."""
        if session is not self._session:
            self._session = session
            self._sizes.clear()
        full = len(self._sizes) >= MOST or sum(self._sizes.values()) + len(payload) > MOST_BYTES
        mid = None if full else session.publish(topic, payload)
        if mid is not None:
            self._sizes[mid] = len(payload)
        return mid is not None

    def acknowledged(self, mid: int) -> None:
        """The broker has taken it."""
        self._sizes.pop(mid, None)
