"""How much may be done in a time: a token bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Allowance:
    """Not thread-safe.

    Args:
        rate_per_s: how much may be taken in the long run.
        most: how much may be saved up; at least one.
        now_s: a clock that never goes back.
        saved: how much there is at first.
    """

    def __init__(
        self, rate_per_s: float, most: float, now_s: Callable[[], float], saved: float = 1.0
    ) -> None:
        self._rate_per_s, self._now_s = rate_per_s, now_s
        self._most = max(1.0, most)
        self._tokens, self._at_s = saved, now_s()

    def available(self) -> bool:
        """Whether one may be taken."""
        now_s = self._now_s()
        self._tokens = min(self._most, self._tokens + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
        return self._tokens >= 1

    def take(self) -> None:
        """Take one."""
        self._tokens -= 1
