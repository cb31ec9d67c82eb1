"""Messages that were sent and are not acknowledged."""

from __future__ import annotations

import msgspec

from edge.delivery.records import Waiting

MAX_PACKET_BYTES = 268_435_455  # MQTT's own bound
PACKET_OVERHEAD_BYTES = 10  # fixed header, topic length, message id, no properties


class Flight(msgspec.Struct, frozen=True):
    """One of them."""

    message: Waiting
    sent_s: float


class Flights(dict[int, Flight]):
    """By MQTT message id, of one session."""

    @property
    def sequences(self) -> set[int]:
        """Their numbers in the outbox."""
        return {flight.message.sequence for flight in self.values()}

    @property
    def oldest(self) -> Flight | None:
        """The one that was sent first."""
        return min(self.values(), key=lambda flight: flight.sent_s, default=None)

    def newest_s(self) -> float | None:
        """When the last one was sent."""
        return max((flight.sent_s for flight in self.values()), default=None)


def too_large(topic: str, payload: bytes, most_bytes: int | None) -> str | None:
    """Why a message can't be sent; None if it can.

    Args:
        topic: where.
        payload: what.
        most_bytes: the largest packet that the broker takes, if it has said.
    """
    size = len(topic.encode()) + len(payload) + PACKET_OVERHEAD_BYTES
    most = most_bytes or MAX_PACKET_BYTES
    return f"too large: {size} bytes, and the broker takes {most}" if size > most else None
