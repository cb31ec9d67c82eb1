"""How much this process writes to storage: an SD card wears out by it.

Linux counts in `/proc/self/io`, as `write_bytes`, what a process caused to be sent to storage:
pages as the kernel writes them, so SQLite's log, its pages and whatever else the node writes. On
a RAM disk it counts nothing, rightly.
"""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

HOUR_S, HOURS = 3_600.0, 24


def process_write_bytes() -> int | None:
    """Bytes since this process began; None where the kernel doesn't tell."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes:"))
    except (OSError, ValueError, StopIteration):
        return None


class WrittenBytes:
    """Bytes written in the last 24 hours, counted hour by hour.

    Args:
        total: bytes so far, or None where unknown.
        now_s: a clock that never goes back.
    """

    def __init__(
        self,
        total: Callable[[], int | None] = process_write_bytes,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._total, self._now_s = total, now_s
        self._hours: deque[tuple[int, int]] = deque()  # (hour, total when first asked in it)
        self.last_day()

    def last_day(self) -> int | None:
        """Bytes in the last 24 hours, or since the start if that is less long ago.

        To the hour, if it is asked at least once in an hour.
        """
        total = self._total()
        if total is None:
            return None
        hour = int(self._now_s() // HOUR_S)
        if not self._hours or self._hours[-1][0] != hour:
            self._hours.append((hour, total))
        while len(self._hours) > 1 and self._hours[1][0] <= hour - HOURS:
            self._hours.popleft()
        return total - self._hours[0][1]
