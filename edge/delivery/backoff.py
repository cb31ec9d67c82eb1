"""How long to wait before the next try: longer each time, and never the same for two nodes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class BackoffLimits(msgspec.Struct, frozen=True):
    """The bounds, in seconds."""

    first_s: float = 1.0  # no wait is shorter, so that a loop can't run hot
    last_s: float = 60.0
    stable_s: float = 10.0  # a connection that lasted this long makes the next wait short again
    considerate_s: float = 30.0  # at least, after wrong passwords: brokers lock out who hammers


class Backoff:
    """Exponential back-off with full jitter.

    M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: a wait is drawn
    evenly between the shortest and a bound that doubles with each failure, so that nodes which
    lost a broker together don't come back together.

    Args:
        limits: the bounds.
        uniform: draws a number between two others.
    """

    def __init__(
        self,
        limits: BackoffLimits,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self._limits, self._uniform = limits, uniform
        self._failures = 0

    def after(self, lasted_s: float, *, considerate: bool = False) -> float:
        """Seconds to wait after a connection that lasted `lasted_s`, or 0 if there was none."""
        limits = self._limits
        if lasted_s >= limits.stable_s:
            self._failures = 0
        self._failures += 1
        bound_s = min(limits.last_s, limits.first_s * 2.0 ** min(self._failures, 30))
        wait_s = self._uniform(limits.first_s, bound_s)
        return max(wait_s, limits.considerate_s) if considerate else wait_s
