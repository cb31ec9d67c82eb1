"""Messages that were sent and are not acknowledged."""

from __future__ import annotations

import msgspec

from edge.delivery.records import Waiting


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
