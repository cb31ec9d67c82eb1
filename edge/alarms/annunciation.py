"""What may be told: at most so many annunciations in any hour, the rest counted and summarised."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from edge.alarms.states import Summary

if TYPE_CHECKING:
    from edge.alarms.states import Suppression, Transition

HOUR_S = 3600.0


class Annunciator:
    """A sliding hour.

    Args:
        max_per_hour: transitions and summaries together.
    """

    def __init__(self, max_per_hour: int) -> None:
        self._max = max_per_hour
        self.told_at_s: list[float] = []
        self.backlog: Summary | None = None
        self.annunciated_total = 0
        self.suppressed_total = 0

    def offer(self, transition: Transition, gate: Suppression | None) -> Transition:
        """The transition, annunciated or counted; `gate` says why it must not be told anyway."""
        if gate is None and not self._has_room(transition.at_s):
            gate = "rate"
        if gate is not None:
            self.suppressed_total += 1
            self.backlog = _with(self.backlog, transition)
            return msgspec.structs.replace(transition, suppressed_by=gate)
        self.annunciated_total += 1
        self.told_at_s.append(transition.at_s)
        return msgspec.structs.replace(transition, annunciated=True)

    def summary(self, now_s: float) -> Summary | None:
        """What has been suppressed, if there is something and room to tell it."""
        if self.backlog is None or not self._has_room(now_s):
            return None
        backlog, self.backlog = self.backlog, None
        self.told_at_s.append(now_s)
        return backlog

    def _has_room(self, now_s: float) -> bool:
        self.told_at_s = [at_s for at_s in self.told_at_s if now_s - at_s < HOUR_S]
        return len(self.told_at_s) < self._max


def _with(backlog: Summary | None, transition: Transition) -> Summary:
    if backlog is None:
        backlog = Summary(
            count=0,
            worst_score=0.0,
            first_id=transition.event_id,
            last_id=None,
            from_s=transition.at_s,
            to_s=transition.at_s,
        )
    return msgspec.structs.replace(
        backlog,
        count=backlog.count + 1,
        worst_score=max(backlog.worst_score, transition.score),
        last_id=transition.event_id,
        to_s=transition.at_s,
    )
