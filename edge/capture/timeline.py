"""Frame counter and monotonic time: when each sample was heard, and what went missing unsaid.

A block may arrive late, never early: so the smallest lag of the last seconds, arrival time less
frames over rate, is what a device and its driver take. A clock that is off moves it slowly; sound
that went missing moves it at once, and for good.
"""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

WINDOW_S = 2.0
LOST_S = 0.06  # a smaller jump is not told from what a busy machine does
CLOCK_OFF = 1e-3  # largest relative error of a sound card's clock that is followed


class Placed(NamedTuple):
    """A block's place in time."""

    at_s: float  # of its first frame
    lost_s: float  # of sound missing before it


class Timeline:
    """Places blocks of one continuous stream in time."""

    def __init__(self) -> None:
        self._heard_s = 0.0  # sound so far, and what went missing
        self._lag_s: float | None = None
        self._least_s = math.inf  # the least lag since a hole, while nothing after it is placed
        self._recent: deque[tuple[float, float]] = deque()  # (arrival, lag)
        self._checked_s = 0.0

    def settle(self, pending_s: float, arrived_s: float) -> None:
        """Note what came by now before the next block is placed, which begins after a hole.

        A busy computer takes a while to begin, and then all comes at once.

        Args:
            pending_s: sound that has come and is not placed.
            arrived_s: monotonic.
        """
        lag = arrived_s - self._heard_s - pending_s
        self._least_s = min(self._least_s, lag)

    def place(self, duration_s: float, arrived_s: float, *, overflowed: bool = False) -> Placed:
        """Place the next block, which was complete at `arrived_s`.

        Args:
            duration_s: of the block.
            arrived_s: monotonic.
            overflowed: the driver says that sound was lost before it.
        """
        self._heard_s += duration_s
        lag = arrived_s - self._heard_s
        least_s, self._least_s = min(lag, self._least_s), math.inf
        if self._lag_s is None:
            self._lag_s, self._checked_s = least_s, arrived_s
        lost_s = max(0.0, least_s - self._lag_s) if overflowed else self._unsaid(lag, arrived_s)
        if lost_s:
            self._heard_s += lost_s
            self._recent.clear()
            lag -= lost_s
        self._recent.append((arrived_s, lag))
        self._lag_s = min(self._lag_s, lag)
        return Placed(self._heard_s - duration_s + self._lag_s, lost_s)

    def _unsaid(self, lag: float, arrived_s: float) -> float:
        """Whether the lag of a whole window lies above what it was."""
        assert self._lag_s is not None  # noqa: S101  (set by the only caller)
        while self._recent and self._recent[0][0] < arrived_s - WINDOW_S:
            self._recent.popleft()
        if not self._recent or arrived_s - self._recent[0][0] < WINDOW_S / 2:
            return 0.0
        rise = min(lag, *(earlier for _, earlier in self._recent)) - self._lag_s
        if rise > LOST_S:
            return rise
        if rise > 0.0:
            self._lag_s += min(rise, CLOCK_OFF * (arrived_s - self._checked_s))
        self._checked_s = arrived_s
        return 0.0
