"""What could not be told when it happened, until it can be; and what may not have arrived.

Sparkplug's DATA is QoS 0: what was written to a link that turned out to be dead is lost without a
word. So the events of the last `resend_s` go back into the history when a link is lost, and come
again as history, with the same time; a historian keeps one of two equal values.
"""

from __future__ import annotations

import heapq
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.sparkplug.metrics import Definition, Reading

MAX_EVENT_VALUES, MAX_OTHER_VALUES = 20_000, 5_000  # some 10 MB at most


class Record(NamedTuple):
    """A value with its moment."""

    at_s: float
    order: int  # of values with the same moment
    device: str | None
    definition: Definition
    reading: Reading


class History:
    """Values that wait, oldest first; where too many wait, the oldest go, events apart from others.

    Args:
        resend_s: how long a dead link can look alive.
    """

    def __init__(self, resend_s: float) -> None:
        self._resend_s = resend_s
        self.dropped = 0
        self._events: deque[Record] = deque()
        self._others: deque[Record] = deque()
        self._sent: deque[tuple[float, Record]] = deque()
        self._order = count()
        self._nothing_of: set[str | None] = set()  # devices: looking through all takes its time

    def __len__(self) -> int:
        return len(self._events) + len(self._others)

    def record(
        self, at_s: float, device: str | None, definition: Definition, reading: Reading
    ) -> Record:
        """A record with its place in the order; not kept yet."""
        return Record(at_s, next(self._order), device, definition, reading)

    def keep(self, records: Iterable[Record]) -> None:
        """Let values wait."""
        for each in records:
            kept = self._events if each.definition.event else self._others
            kept.append(each)
            if each.device in self._nothing_of:
                self._nothing_of = set()
        self._bound()

    def take(self, devices: set[str | None], limit: int) -> list[Record]:
        """The oldest values of one of these devices, at most so many; all of the same device."""
        if devices == self._nothing_of:
            return []
        waiting = heapq.merge(self._events, self._others)
        first = next((each for each in waiting if each.device in devices), None)
        if first is None:
            self._nothing_of = set(devices)
            return []
        of_it = (r for r in heapq.merge(self._events, self._others) if r.device == first.device)
        taken = [record for record, _ in zip(of_it, range(limit), strict=False)]
        gone = {record.order for record in taken}
        self._events = deque(r for r in self._events if r.order not in gone)
        self._others = deque(r for r in self._others if r.order not in gone)
        return taken

    def sent(self, now_s: float, records: Iterable[Record]) -> None:
        """These were written to the link."""
        self._sent.extend((now_s, each) for each in records if each.definition.event)
        while self._sent and now_s - self._sent[0][0] > self._resend_s:
            self._sent.popleft()
        while len(self._sent) > MAX_EVENT_VALUES:
            self._sent.popleft()

    def lost(self, now_s: float) -> None:
        """The link is gone, and with it perhaps what was sent of late."""
        again = [each for sent_s, each in self._sent if now_s - sent_s <= self._resend_s]
        self._sent.clear()
        self._nothing_of = set()
        self._events = deque(sorted([*again, *self._events]))
        self._bound()

    def _bound(self) -> None:
        limits = ((self._events, MAX_EVENT_VALUES), (self._others, MAX_OTHER_VALUES))
        for kept, limit in limits:
            while len(kept) > limit:
                kept.popleft()
                self.dropped += 1
