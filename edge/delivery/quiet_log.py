"""Log lines that repeat themselves are written when they change, and then every five minutes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REPEAT_S = 300.0
MAX_TEXTS = 64


class QuietLog:
    """Counts what it doesn't write.

    Args:
        log: where to write.
        now_s: a clock that never goes back.
    """

    def __init__(self, log: logging.Logger, now_s: Callable[[], float] = time.monotonic) -> None:
        self._log, self._now_s = log, now_s
        self._written: dict[str, float] = {}
        self._silent: dict[str, int] = {}

    def warn(self, kind: str, text: str) -> bool:
        """As `say`, a warning."""
        return self.say(logging.WARNING, kind, text)

    def say(self, level: int, kind: str, text: str) -> bool:
        """Write a line, unless one of this kind was written in the last five minutes.

        Returns:
            Whether it was written.
        """
        now_s = self._now_s()
        if now_s - self._written.get(kind, -REPEAT_S) < REPEAT_S:
            self._silent[kind] = self._silent.get(kind, 0) + 1
            return False
        if len(self._written) >= MAX_TEXTS and kind not in self._written:
            self._written.clear()
        self._written[kind] = now_s
        more = self._silent.pop(kind, 0)
        self._log.log(level, "%s%s", text, f" ({more} more like it)" if more else "")
        return True

    def settle(self, kind: str) -> bool:
        """It is over: the next of this kind is written at once. Whether there was one."""
        return self._written.pop(kind, None) is not None
