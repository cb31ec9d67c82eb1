"""Trouble that comes again and again, in a log that it can't fill."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

NEWS_S, REPEAT_S = 60.0, 300.0  # between two lines about one thing: another reason, the same


class _Said(NamedTuple):
    reason: str
    at_s: float
    unsaid: int


class Complaint:
    """One line when a thing begins to fail, one every five minutes while it lasts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, _Said] = {}

    def say(self, what: str, reason: str) -> None:
        """Something failed: what, of a few kinds, and why."""
        now, last = self._clock(), self._said.get(what)
        if last:
            pause_s = REPEAT_S if reason == last.reason else NEWS_S
            if now - last.at_s < pause_s:
                self._said[what] = last._replace(unsaid=last.unsaid + 1)
                return
        since = f" ({last.unsaid} more times before)" if last and last.unsaid else ""
        log.warning("%s: %s%s", what, reason, since)
        self._said[what] = _Said(reason, now, 0)

    def over(self, what: str) -> None:
        """It works again."""
        last = self._said.get(what)
        if last and last.reason:
            log.info("%s: that is over", what)
            self._said[what] = _Said("", last.at_s, 0)
