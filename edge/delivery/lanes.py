"""In which order waiting messages are sent: standing alarms, live events, then the backlog.

The backlog is what had waited for seconds when the connection was made. It is sent at a limited
rate and never fills the whole window, so that a live event doesn't wait for it. A subscriber finds
the order by `sequence`.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import msgspec

from edge.delivery.records import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.delivery.outbox import Outbox
    from edge.delivery.records import Waiting

PAGE = 25
RECENT_S, NOTE_S = 10.0, 1.0


class Recent:
    """Which messages are new: an interruption of seconds doesn't make backlog of them.

    Args:
        last: the newest number now.
        now_s: a clock that never goes back.
    """

    def __init__(self, last: int, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._noted = deque([(now_s(), last)])

    @property
    def before(self) -> int:
        """The newest number that isn't new any more."""
        return self._noted[0][1]

    def note(self, last: int) -> None:
        """Tell the newest number, often."""
        now_s = self._now_s()
        if now_s - self._noted[-1][0] >= NOTE_S:
            self._noted.append((now_s, last))
        while len(self._noted) > 1 and now_s - self._noted[1][0] >= RECENT_S:
            self._noted.popleft()


class Lanes:
    """What waits, in the order in which it is to be sent. A new one for each connection.

    Args:
        last: the newest number of the backlog; larger ones are live.
    """

    def __init__(self, last: int) -> None:
        self._lanes = [
            _Lane(0, None, Wanted(only_active=True)),
            _Lane(last, None, Wanted()),
            _Lane(0, last, Wanted()),
        ]

    def rewind(self) -> None:
        """Look at all that waits again."""
        for lane in self._lanes:
            lane.rewind()

    def messages(self, outbox: Outbox, paused: tuple[str, ...]) -> Iterator[tuple[Waiting, bool]]:
        """Each with whether it belongs to the backlog, but for those with a paused leaf.

        A message counts as dealt with when the next one is asked for.
        """
        for lane in self._lanes:
            for message in lane.messages(outbox, paused):
                yield message, lane is self._lanes[-1]


class _Lane:
    """Messages of one kind with a number above `after` and not above `up_to`."""

    def __init__(self, after: int, up_to: int | None, wanted: Wanted) -> None:
        self._first, self._cursor, self._up_to = after, after, up_to
        self._wanted = wanted

    def rewind(self) -> None:
        self._cursor = self._first

    def messages(self, outbox: Outbox, paused: tuple[str, ...]) -> Iterator[Waiting]:
        wanted = msgspec.structs.replace(self._wanted, without_leaves=paused)
        last = outbox.next_sequence() - 1 if self._up_to is None else self._up_to
        while self._cursor < last:
            page = outbox.after(self._cursor, PAGE, wanted)
            for message in page:
                if message.sequence > last:
                    break
                yield message
                self._cursor = message.sequence
            if len(page) < PAGE or page[-1].sequence > last:
                self._cursor = last
