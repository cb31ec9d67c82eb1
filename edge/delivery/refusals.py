"""Topics that the broker refuses are left alone for a while, longer each time.

What is refused for a topic's sake, since an access rule forbids it, is refused for each message:
trying them all at full speed would quarantine the whole backlog for one line in a configuration.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import msgspec

from edge.delivery.quiet_log import QuietLog

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

FIRST_PAUSE_S, LAST_PAUSE_S = 1.0, 300.0
GROWTH = 4.0
QUOTA_EXCEEDED = 0x97  # of a broker's limits for this client: no fault of the message


class _Pause(msgspec.Struct, frozen=True):
    until_s: float
    lasts_s: float
    text: str


class Refusals:
    """Which leaves must wait.

    Args:
        now_s: a clock that never goes back.
    """

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._complaints = QuietLog(log, now_s)
        self._pauses: dict[str, _Pause] = {}

    @property
    def text(self) -> str | None:
        """What is refused; None if all that was sent last was taken."""
        return next((pause.text for pause in self._pauses.values()), None)

    def refused(self, leaf: str, reason: int, text: str) -> bool:
        """Let a leaf wait; whether the message itself may be to blame."""
        now_s = self._now_s()
        before = self._pauses.get(leaf)
        if before is None or now_s >= before.until_s:  # else it was sent with the one before
            lasts_s = min(LAST_PAUSE_S, before.lasts_s * GROWTH) if before else FIRST_PAUSE_S
            self._pauses[leaf] = _Pause(now_s + lasts_s, lasts_s, text)
        self._complaints.warn(text, text)
        return reason != QUOTA_EXCEEDED

    def accepted(self, leaf: str) -> None:
        """The broker takes messages of this leaf."""
        self._pauses.pop(leaf, None)

    def paused(self) -> tuple[str, ...]:
        """The leaves that must wait now."""
        now_s = self._now_s()
        return tuple(leaf for leaf, pause in self._pauses.items() if now_s < pause.until_s)
