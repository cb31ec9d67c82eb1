"""OPC UA's ShelvedStateMachine: Unshelved, TimedShelved, OneShotShelved."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.alarms.states import Shelving


class Shelf:
    """Where an alarm is put away for a time; a one-shot also ends when the condition returns.

    Args:
        max_shelve_s: longest time, OPC UA's MaxTimeShelved; ends a one-shot, too.
    """

    def __init__(self, max_shelve_s: float) -> None:
        self.max_shelve_s = max_shelve_s
        self.shelving: Shelving = "Unshelved"
        self.until_s: float | None = None

    @property
    def occupied(self) -> bool:
        """Whether the alarm is shelved."""
        return self.until_s is not None

    def refusal(self, for_s: float) -> str | None:
        """Why it can't be shelved for so long."""
        if math.isfinite(for_s) and 0 < for_s <= self.max_shelve_s:
            return None
        return f"can't be shelved for {for_s:g} s; more than 0 and at most {self.max_shelve_s:g} s"

    def put(self, shelving: Shelving, until_s: float) -> None:
        """Shelve, or shelve anew."""
        self.shelving, self.until_s = shelving, until_s

    def clear(self) -> None:
        """Unshelve."""
        self.shelving, self.until_s = "Unshelved", None
