"""The node's own messages as metrics: values, and how far each can be trusted.

What quality says, by the state of the input:

| input | device | score | level | alarm |
|---|---|---|---|---|
| hearing | born | good | good | good |
| silent, frozen, clipped | born | stale | bad: not the machine's | stale |
| starting, recovering | as it was | stale | stale | stale |
| absent, stalled, ended | dead: all is stale | | | |
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from edge.delivery.messages import Anomaly, Level
from edge.sparkplug.metrics import Quality, Reading
from edge.sparkplug.values import DeviceUpdate
from edge.words import printable

if TYPE_CHECKING:
    from edge.capture.sound import State
    from edge.delivery.messages import CloudEvent
    from edge.delivery.status import AlarmStatus, Health, InputHealth, InputState
    from edge.sparkplug.datatypes import Value
    from edge.sparkplug.snapshot import Heard, Snapshot

PRESENT: set[State] = {"hearing", "silent", "frozen", "clipped"}
MISSING: set[State] = {"absent", "stalled", "ended"}
DECEIVED: set[State] = {"silent", "frozen", "clipped"}
MAX_TEXT = 500
Readings = dict[str, Reading]


def node_readings(health: Health, dropped: int) -> Readings:
    """The edge node's own metrics."""
    return {
        "Node Info/Version": Reading(health.version),
        "Node Info/Clock synced": Reading(health.clock_synced),
        "Delivery/Events waiting": Reading(health.events_waiting),
        "Delivery/Events durable": Reading(health.events_durable),
        "Delivery/Trouble": Reading(_text(health.trouble)),
        "Delivery/History dropped": Reading(dropped),
    }


class Presence:
    """Whether each microphone is there; while it is being opened, as before."""

    def __init__(self) -> None:
        self._present: dict[str, bool] = {}

    def devices(self, snapshot: Snapshot) -> dict[str, DeviceUpdate]:
        """All devices as of now."""
        states = {each.name: each for each in snapshot.state.inputs}
        found = {}
        for health in snapshot.health.inputs:
            if (state := states.get(health.name)) is not None:
                heard = snapshot.heard.get(health.name)
                readings = device_readings(health, state, heard, snapshot.state.reported_utc)
                found[health.name] = DeviceUpdate(self._of(health.name, health.state), readings)
        return found

    def _of(self, name: str, state: State) -> bool:
        if state in PRESENT or state in MISSING:
            self._present[name] = state in PRESENT
        return self._present.get(name, False)


def device_readings(
    health: InputHealth, state: InputState, heard: Heard | None, now: datetime
) -> Readings:
    """A device's metrics, but for its events and commands."""
    hearing = health.state == "hearing"
    of_score = Quality.GOOD if hearing and heard else Quality.STALE
    of_level = Quality.GOOD if hearing else Quality.STALE
    if health.state in DECEIVED:
        of_level = Quality.BAD
    return {
        "Score": Reading(_finite(heard.score if heard else None), of_score),
        "False alarms a day": Reading(
            _finite(heard.false_alarms_per_day if heard else None), of_score
        ),
        "Input/Level": Reading(_finite(health.level_dbfs), of_level),
        "Input/State": Reading(health.state),
        "Input/Reason": Reading(_text(health.reason)),
        "Input/Source": Reading(_text(health.source)),
        "Health/Real-time factor": Reading(_finite(health.real_time_factor)),
        "Health/Overloaded": Reading(health.overloaded),
        "Health/Gaps": Reading(health.gaps),
        "Health/Missing sound": Reading(_finite(health.gaps_s)),
        "Calibration/State": Reading(state.calibration_state),
        "Calibration/Reason": Reading(_text(state.calibration_reason)),
        "Calibration/ID": Reading(_text(state.calibration)),
        "Calibration/Bundle": Reading(_text(state.bundle)),
        "Calibration/Trial": Reading(state.bundle_trial),
        "Calibration/Trial note": Reading(_text(state.bundle_note)),
        **_alarm_readings(state.alarm, now),
    }


def _alarm_readings(alarm: AlarmStatus, now: datetime) -> Readings:
    quality = Quality.STALE if alarm.suspect else Quality.GOOD
    left_s = alarm.shelved_for_s
    until = None if left_s is None else now + timedelta(seconds=left_s)
    values: dict[str, Value] = {
        "State": alarm.name,
        "Condition": alarm.condition,
        "Active": alarm.active,
        "Acknowledged": alarm.acknowledged,
        "Latched": alarm.latched,
        "Shelved": alarm.shelving != "Unshelved",
        "Shelved until": _ms(until),
        "Out of service": alarm.out_of_service,
        "Since": _ms(alarm.since_utc),
        "Unacknowledged": alarm.unacknowledged_count,
        "Worst score": _finite(alarm.worst_score),
    }
    return {f"Alarm/{name}": Reading(value, quality) for name, value in values.items()}


def event_readings(event: CloudEvent) -> tuple[str, Readings] | None:
    """The device and the metrics of an event that was heard; None for what is no sound."""
    data = event.data
    if not isinstance(data, Anomaly | Level):
        return None
    anomaly = data if isinstance(data, Anomaly) else None
    level = data if isinstance(data, Level) else None
    values: dict[str, Value] = {
        "ID": event.id,
        "Sequence": data.sequence,
        "Kind": "anomaly" if anomaly else "level",
        "Start": _ms(data.start_utc),
        "End": _ms(data.end_utc),
        "Duration": _finite(round(data.end_s - data.start_s, 3)),
        "Low frequency": _finite(data.low_hz),
        "High frequency": _finite(data.high_hz),
        "Peak frequency": _finite(anomaly.peak_hz if anomaly else None),
        "Score": _finite(anomaly.score if anomaly else None),
        "False alarms a day": _finite(anomaly.false_alarms_per_day if anomaly else None),
        "Excess level": _finite(anomaly.excess_db if anomaly else None),
        "Level": _finite(level.level_dbfs if level else None),
        "Sounds like": anomaly.sounds_like if anomaly else None,
        "Sound missing": data.data_gap,
        "Summary": _text(data.summary),
    }
    return data.input, {f"Event/{name}": Reading(value) for name, value in values.items()}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _text(value: str | None) -> str | None:
    return None if value is None else printable(value[:MAX_TEXT])


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else max(0, round(moment.timestamp() * 1000))
