"""Answers on their way: bounded, or a broker that acknowledges none would fill the memory.

A few are in flight at a time, since an MQTT 5 broker may end the connection over more than it
allows; the others wait, and end with the session.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.delivery.session import Session

MOST_WAITING, MOST_BYTES = 200, 4 << 20  # a snapshot has some 45 and 3 MB
IN_FLIGHT = 2


class Answers:
    """Those of one session. Not thread-safe."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._waiting_bytes = 0
        self._in_flight: set[int] = set()

    def say(self, session: Session, topic: str, payload: bytes) -> bool:
        """Send soon; False if too much waits already."""
        self.send(session)
        size = self._waiting_bytes + len(payload)
        if len(self._waiting) >= MOST_WAITING or size > MOST_BYTES:
            return False
        self._waiting.append((topic, payload))
        self._waiting_bytes = size
        self.send(session)
        return True

    def acknowledged(self, mid: int) -> None:
        """The broker has taken it."""
        self._in_flight.discard(mid)

    def send(self, session: Session) -> None:
        """What may be sent now."""
        if session is not self._session:
            self._session, self._waiting_bytes = session, 0
            self._waiting.clear()
            self._in_flight.clear()
        while self._waiting and len(self._in_flight) < IN_FLIGHT:
            topic, payload = self._waiting.popleft()
            self._waiting_bytes -= len(payload)
            if (mid := session.publish(topic, payload)) is not None:
                self._in_flight.add(mid)
