"""Commands on their way from the network's thread to the node's loop: few, small, not too fast.

Each may write to the disk twice and be answered and told three times. A person sends few; a flood
costs a command a second, and keeps other commands out, but neither sound nor events.
"""

from __future__ import annotations

import logging
import queue
from typing import TYPE_CHECKING

from edge.allowance import Allowance
from edge.delivery import topics
from edge.delivery.quiet_log import QuietLog
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.delivery.session import Received

log = logging.getLogger(__name__)

MOST_WAITING = 100
BURST, RATE_PER_S = 20, 1.0
LONGEST, LONGEST_NAME = 4_096, 64  # bytes of a command; characters of its name


class CommandQueue:
    """Bounded in number and size.

    Args:
        now_s: a clock that never goes back.
    """

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._waiting: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_WAITING)
        self._allowance = Allowance(RATE_PER_S, BURST, now_s, saved=BURST)
        self._complaints = QuietLog(log, now_s)

    def put(self, message: Received) -> None:
        """A message has come. Called in the network's thread; never raises, never waits.

        A retained one is older than this connection: it was done before, or must not be any more.
        Of one that is too long, no more is kept than shows it.
        """
        if message.retained or message.topic.endswith(f"/{topics.RESULT}"):
            return
        name = message.topic.rpartition("/")[2][:LONGEST_NAME]
        try:
            self._waiting.put_nowait((name, message.payload[: LONGEST + 1]))
        except queue.Full:
            text = f"too many commands at once: {printable(name)} is not answered"
            self._complaints.warn("full", text)

    def take(self) -> tuple[str, bytes] | None:
        """Name and payload of the next one, if it may be done now."""
        if self._waiting.empty() or not self._allowance.available():
            return None
        taken = self._waiting.get_nowait()  # nobody else takes any
        self._allowance.take()
        return taken
