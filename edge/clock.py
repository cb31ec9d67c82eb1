"""What time it is, and whether that can be trusted: many nodes have no clock battery."""

from __future__ import annotations

import ctypes
import os
import time
from datetime import datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SYNCHRONISED_FILE = Path("/run/systemd/timesync/synchronized")  # systemd-timesyncd
TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
TIMEX_BYTES = 512  # larger than struct timex anywhere
CHECK_EVERY_S = 10.0


class Clock:
    """UTC from the system, durations from the monotonic clock.

    Args:
        utc_s, monotonic_s: the system's clocks.
        synced: whether the system's UTC is right.
        floor_s: UTC that has passed for certain; an earlier one is not right, whatever is said.
    """

    def __init__(
        self,
        *,
        utc_s: Callable[[], float] = time.time,
        monotonic_s: Callable[[], float] = time.monotonic,
        synced: Callable[[], bool] | None = None,
        floor_s: float = 0.0,
    ) -> None:
        self._utc_s, self.monotonic_s = utc_s, monotonic_s
        self._ask = synced or kernel_synced
        self._floor_s = floor_s
        self._asked_s: float | None = None
        self._answer = False

    @property
    def synced(self) -> bool:
        """Whether UTC can be trusted; asked every ten seconds."""
        now = self.monotonic_s()
        if self._asked_s is None or now - self._asked_s > CHECK_EVERY_S:
            self._asked_s = now
            self._answer = self._ask() and self._utc_s() >= self._floor_s
        return self._answer

    def utc(self, monotonic_s: float | None = None) -> datetime:
        """UTC now, or of another moment, in milliseconds."""
        seconds = self._utc_s()
        if monotonic_s is not None:
            seconds += monotonic_s - self.monotonic_s()
        return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(
            milliseconds=round(seconds * 1000)
        )

    @property
    def utc_s(self) -> float:
        """UTC now, in seconds since 1970."""
        return self._utc_s()


def kernel_synced() -> bool:
    """Whether the kernel or systemd-timesyncd says that the clock is synchronised."""
    if SYNCHRONISED_FILE.exists():
        return True
    adjtimex = _adjtimex()
    if adjtimex is None:
        return False
    state = adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))  # all zeros: only asks
    return 0 <= int(state) < TIME_ERROR


@cache
def _adjtimex() -> Callable[[object], int] | None:
    try:
        return ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None


def build_time_s(path: Path) -> float:
    """When a file was written: a moment that has passed for certain; 0 if it can't be told."""
    try:
        return os.stat(path).st_mtime  # noqa: PTH116
    except OSError:
        return 0.0
