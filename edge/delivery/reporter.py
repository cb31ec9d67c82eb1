"""What was found becomes what is said: CloudEvents, numbered and dated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from edge.delivery import messages
from edge.delivery.boot import boot_id
from edge.delivery.messages import (
    AlarmChange,
    AlarmEvent,
    AlarmSummary,
    Anomaly,
    AnomalyEvent,
    CloudEvent,
    Level,
    LevelEvent,
    LossEvent,
    SummaryEvent,
)
from edge.delivery.ulid import UlidSource
from edge.words import alarm_summary, level_summary, loss_summary, transition_summary

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge.alarms.states import Summary, Transition
    from edge.capture.level import Loud
    from edge.clock import Clock
    from edge.delivery.records import Loss
    from edge.inputs import Input
    from edge.stretch import Found


class Reporter:
    """Makes the events of one node.

    Args:
        node: its id.
        prefix: of its topics.
        clock: what time it is.
        next_sequence: the number that the next event will get.
    """

    def __init__(
        self, node: str, prefix: str, clock: Clock, next_sequence: Callable[[], int]
    ) -> None:
        self._node, self._clock, self._next_sequence = node, clock, next_sequence
        self._source = f"/{prefix}/{node}"
        self._ulid = UlidSource(lambda: round(clock.utc_s * 1000))

    def anomaly(self, each: Input, found: Found) -> AnomalyEvent:
        """An event of the detector."""
        event, manifest = found.event, each.bundle.manifest
        learnt_s = sum(recording.duration_s for recording in manifest.recordings)
        start_utc, end_utc = self._when(each, event.start_s, event.end_s)
        data = Anomaly(
            **self._common(event.summary(learnt_s)),
            **_of_input(each, data_gap=found.data_gap),
            **msgspec.structs.asdict(event),
            start_utc=start_utc,
            end_utc=end_utc,
            sounds_like=event.sounds_like,
            bundle=manifest.bundle_id,
            calibration=manifest.calibration_id,
            calibration_state=each.calibration.state,
        )
        return AnomalyEvent(**self._context(each, start_utc), data=data)

    def level(self, each: Input, loud: Loud) -> LevelEvent:
        """A level rule was met."""
        start_utc, end_utc = self._when(each, loud.start_s, loud.end_s)
        data = Level(
            **self._common(level_summary(loud)),
            **_of_input(each, data_gap=False),
            start_utc=start_utc,
            end_utc=end_utc,
            start_s=round(loud.start_s, 3),
            end_s=round(loud.end_s, 3),
            low_hz=loud.low_hz,
            high_hz=loud.high_hz,
            rule=loud.rule.name,
            level_dbfs=round(loud.level_dbfs, 1),
            above_dbfs=loud.rule.above_dbfs,
        )
        return LevelEvent(**self._context(each, start_utc), data=data)

    def alarm(self, each: Input, transition: Transition) -> AlarmEvent:
        """An alarm has changed its state."""
        data = AlarmChange(
            **self._common(transition_summary(transition)),
            input=each.name,
            before=transition.before,
            after=transition.after,
            cause=transition.cause,
            by=transition.by,
            comment=transition.comment,
            event_id=transition.event_id,
            score=round(transition.score, 4),
            annunciated=transition.annunciated,
            suppressed_by=transition.suppressed_by,
        )
        return AlarmEvent(**self._context(each, None), data=data)

    def alarm_summary(self, each: Input, summary: Summary) -> SummaryEvent:
        """Changes that were not told one by one."""
        data = AlarmSummary(
            **self._common(alarm_summary(summary)),
            input=each.name,
            count=summary.count,
            worst_score=round(summary.worst_score, 4),
            first_event_id=summary.first_id,
            last_event_id=summary.last_id,
        )
        return SummaryEvent(**self._context(each, None), data=data)

    def loss(self, loss: Loss) -> LossEvent:
        """Events that could not wait any longer."""
        data = messages.Loss(
            **self._common(loss_summary(loss)),
            count=loss.count,
            first_sequence=loss.first_sequence,
            last_sequence=loss.last_sequence,
        )
        return LossEvent(**self._context(None, None), data=data)

    def _common(self, summary: str) -> dict[str, Any]:
        clock = self._clock
        return {
            "node": self._node,
            "sequence": self._next_sequence(),
            "reported_utc": clock.utc(),
            "reported_monotonic_s": round(clock.monotonic_s(), 3),
            "boot_id": boot_id(),
            "clock_synced": clock.synced,
            "summary": summary,
        }

    def _context(self, each: Input | None, time: datetime | None) -> dict[str, Any]:
        source = f"{self._source}/{each.name}" if each else self._source
        return {"id": self._ulid(), "source": source, "time": time or self._clock.utc()}

    def _when(
        self, each: Input, start_s: float, end_s: float
    ) -> tuple[datetime | None, datetime | None]:
        epoch_s = each.source.epoch_s
        if epoch_s is None:
            return None, None
        return self._clock.utc(epoch_s + start_s), self._clock.utc(epoch_s + end_s)


def _of_input(each: Input, *, data_gap: bool) -> dict[str, Any]:
    return {
        "input": each.name,
        "source": each.source.name,
        "input_state": each.status.state,
        "data_gap": data_gap,
    }


def corrected(payload: bytes, clock: Clock) -> bytes | None:
    """An unsent event with the right UTC, once the clock is right; None if it was right already.

    Only for events of this run of the computer: their monotonic time says when they were.
    """
    event: CloudEvent = msgspec.json.decode(payload, type=CloudEvent)
    data = event.data
    if data.clock_synced or data.boot_id != boot_id():
        return None
    reported_utc = clock.utc(data.reported_monotonic_s)
    shift = reported_utc - data.reported_utc
    changes: dict[str, Any] = {"reported_utc": reported_utc, "clock_synced": True}
    for name in ("start_utc", "end_utc"):
        if (moment := getattr(data, name, None)) is not None:
            changes[name] = moment + shift
    replace = msgspec.structs.replace
    return msgspec.json.encode(
        replace(event, time=event.time + shift, data=replace(data, **changes))
    )
