"""Times of values: kept on the monotonic clock, told in UTC.

Within the life of a birth all times are told with one and the same offset, so that they are in
order whatever happens to the wall clock. When that is set by more than `STEP_S`, a new birth takes
the new offset, and history that still waits is told with it too: a node without a clock battery
starts in the past, and what it heard then gets its right time once the clock is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

STEP_S = 0.5


class TimeBase:
    """UTC of moments of the monotonic clock.

    Args:
        utc_s: seconds since 1970.
        monotonic_s: a clock that never goes back.
    """

    def __init__(self, utc_s: Callable[[], float], monotonic_s: Callable[[], float]) -> None:
        self._utc_s, self.now_s = utc_s, monotonic_s
        self._offset_s = self._measure()

    def stepped(self) -> bool:
        """Whether the wall clock was set since the offset was taken."""
        return abs(self._measure() - self._offset_s) > STEP_S

    def take(self) -> None:
        """Believe the wall clock as it is now."""
        self._offset_s = self._measure()

    def ms(self, at_s: float) -> int:
        """A moment in milliseconds since 1970; never before that."""
        return max(0, round((at_s + self._offset_s) * 1000))

    def _measure(self) -> float:
        return self._utc_s() - self.now_s()
