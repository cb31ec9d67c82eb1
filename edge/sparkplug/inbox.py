"""From the node's loop to the Sparkplug thread: bounded, never waited for, in order of time."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge.sparkplug.readings import Readings
    from edge.sparkplug.snapshot import Snapshot

MAX_SNAPSHOTS = 600  # some minutes: as long as a name look-up may hang
MAX_HAPPENINGS = 5_000


class Happening(NamedTuple):
    """Something that happened on a device."""

    device: str
    readings: Readings


class Item(NamedTuple):
    """What was put in, and when on the monotonic clock."""

    at_s: float
    what: Snapshot | Happening


class Inbox:
    """Thread-safe. Where too much waits, the oldest goes; happenings and snapshots apart."""

    def __init__(self) -> None:
        self.dropped = 0  # happenings
        self._lock = threading.Lock()
        self._snapshots: deque[Item] = deque(maxlen=MAX_SNAPSHOTS)
        self._happenings: deque[Item] = deque()

    def put(self, at_s: float, what: Snapshot | Happening) -> None:
        """Let something wait for the Sparkplug thread."""
        with self._lock:
            if not isinstance(what, Happening):
                self._snapshots.append(Item(at_s, what))
                return
            self._happenings.append(Item(at_s, what))
            if len(self._happenings) > MAX_HAPPENINGS:
                self._happenings.popleft()
                self.dropped += 1

    def take(self) -> list[Item]:
        """All that waits, oldest first."""
        with self._lock:
            items = [*self._happenings, *self._snapshots]
            self._snapshots.clear()
            self._happenings.clear()
        return sorted(items, key=lambda item: item.at_s)
