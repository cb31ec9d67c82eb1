"""Which events wait for an operator, and which he has acknowledged lately.

Acknowledging an event acknowledges all before it, as OPC UA's EventId does for a condition: the
operator has seen the alarm as it was then. What came after still waits.
"""

from __future__ import annotations

LISTED = 64  # ids that are kept of either kind


class Waiting:
    """Ids in the order in which they came."""

    def __init__(self) -> None:
        self.listed: list[str] = []
        self.unlisted = 0  # older ones that are only counted
        self.acknowledged: list[str] = []  # lately, so that a repeated command is known

    def __len__(self) -> int:
        return self.unlisted + len(self.listed)

    def add(self, event_ids: list[str], older: int = 0) -> None:
        """Events that an operator has to acknowledge, and `older` ones whose ids are not known."""
        self.unlisted += older
        self.listed += event_ids
        overflow = max(0, len(self.listed) - LISTED)
        self.unlisted += overflow
        self.listed = self.listed[overflow:]

    def acknowledge_up_to(self, event_id: str | None) -> int:
        """Acknowledge this event, which must be listed, and all before it; all of them if None."""
        count = len(self.listed) if event_id is None else self.listed.index(event_id) + 1
        taken, self.listed = self.listed[:count], self.listed[count:]
        self.note_acknowledged(taken)
        total = count + self.unlisted
        self.unlisted = 0
        return total

    def note_acknowledged(self, event_ids: list[str]) -> None:
        """These need no acknowledgement any more."""
        self.acknowledged = [*self.acknowledged, *event_ids][-LISTED:]
