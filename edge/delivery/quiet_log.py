"""Log lines that repeat themselves are written a few times, and then every five minutes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW_S = 300.0
MAX_KINDS = 64


class QuietLog:
    """Counts what it doesn't write.

    Args:
        log: where to write.
        now_s: a clock that never goes back.
        burst: how many lines of one kind are written in five minutes.
    """

    def __init__(
        self,
        log: logging.Logger,
        now_s: Callable[[], float] = time.monotonic,
        burst: int = 1,
    ) -> None:
        self._log, self._now_s, self._burst = log, now_s, burst
        self._written: dict[str, tuple[float, int]] = {}  # since when, how many
        self._silent: dict[str, int] = {}

    def warn(self, kind: str, text: str) -> bool:
        """As `say`, a warning."""
        return self.say(logging.WARNING, kind, text)

    def say(self, level: int, kind: str, text: str) -> bool:
        """Write a line, unless enough of this kind were written in the last five minutes.

        Returns:
            Whether it was written.
        """
        now_s = self._now_s()
        since_s, count = self._written.get(kind, (now_s, 0))
        if now_s - since_s >= WINDOW_S:
            since_s, count = now_s, 0
        if count >= self._burst:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return False
        if len(self._written) >= MAX_KINDS and kind not in self._written:
            self._written.clear()
            self._silent.clear()
        self._written[kind] = (since_s, count + 1)
        more = self._silent.pop(kind, 0)
        self._log.log(level, "%s%s", text, f" ({more} more like it)" if more else "")
        return True

    def settle(self, kind: str) -> None:
        """It is over: the next of this kind is written at once."""
        self._written.pop(kind, None)
