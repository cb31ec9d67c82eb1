"""Whether the machine sounds wrong: on-delay, off-delay, and an input that may not hear.

Delays count heard time only. While the input is lost its clock stands still, so silence that nobody
listened to ends nothing. Hysteresis in level is the detector's: an event reached the alarm level,
and `sounding` means above the release level, which prolongs but never begins.
"""

from __future__ import annotations

import msgspec


class Episode(msgspec.Struct, frozen=True):
    """Anomalies with no gap longer than the off-delay between them, in heard time."""

    began_s: float
    last_s: float


class Condition:
    """Present or not, in heard time.

    Args:
        on_delay_s: an episode must be that long to be present.
        off_delay_s: heard time without an anomaly that ends an episode.
        now_s: the caller's clock.
    """

    def __init__(self, on_delay_s: float, off_delay_s: float, now_s: float) -> None:
        self._on_delay_s, self._off_delay_s = on_delay_s, off_delay_s
        self.now_s = now_s
        self.heard_s = 0.0
        self.hearing = True
        self.present = False
        self.episode: Episode | None = None

    def pass_time(self, now_s: float, anomaly_s: float = 0.0) -> None:
        """Up to `now_s`, of which the last `anomaly_s` are known to have been an anomaly.

        Without the latter a long anomaly that is reported at its end would end itself.
        """
        if self.hearing:
            self.heard_s += now_s - self.now_s
        self.now_s = now_s
        if self.episode and anomaly_s > 0 and self._joins(self.heard_s - anomaly_s):
            self.episode = Episode(self.episode.began_s, self.heard_s)

    def event(self, duration_s: float) -> None:
        """An anomaly ends now that lasted `duration_s`."""
        start_s = self.heard_s - duration_s
        began_s = self.episode.began_s if self.episode and self._joins(start_s) else start_s
        self.episode = Episode(began_s, self.heard_s)

    def sounding(self) -> None:
        """The anomaly goes on; nothing if there is none."""
        if self.episode:
            self.episode = Episode(self.episode.began_s, self.heard_s)

    def appears(self) -> bool:
        """Becomes present if it is time."""
        if not self.hearing or self.present or not self.episode:
            return False
        self.present = self.episode.last_s - self.episode.began_s >= self._on_delay_s
        return self.present

    def gone_at_s(self) -> float | None:
        """When, on the caller's clock and not after now, the episode has ended."""
        if not self.hearing or not self.episode:
            return None
        overdue_s = self.heard_s - self.episode.last_s - self._off_delay_s
        return self.now_s - overdue_s if overdue_s >= 0 else None

    def end(self) -> None:
        """The episode is over."""
        self.episode, self.present = None, False

    def _joins(self, start_s: float) -> bool:
        return self.episode is not None and start_s - self.episode.last_s <= self._off_delay_s
