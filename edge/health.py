"""How the node is doing: told when it changes, every so often, and to the service manager."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal

import msgspec

from edge.delivery.messages import (
    CALIBRATION_SCHEMA,
    HEALTH_SCHEMA,
    CalibrationMessage,
    HealthMessage,
    InputHealth,
    calibration_topic,
    health_topic,
)
from edge.settings import ONLY_INPUT

if TYPE_CHECKING:
    from edge.capture.sound import State
    from edge.delivery.outbox import Outbox
    from edge.delivery.publisher import Publisher
    from edge.inputs import Input
    from edge.settings import Settings

log = logging.getLogger(__name__)

EVERY_S = 30.0
UNSCORED_S = 15.0  # an input that hears must have been scored since, or the node is stuck
Calibration = Literal["current", "ageing", "stale"]


class Health:
    """Watches the inputs, publishes and logs what changes."""

    def __init__(
        self, settings: Settings, inputs: list[Input], publisher: Publisher, outbox: Outbox
    ) -> None:
        self._settings, self._inputs = settings, inputs
        self._publisher, self._outbox = publisher, outbox
        self._started_s = time.monotonic()
        self._told_s = 0.0
        self._states: dict[str, State] = {}
        self._calibrations: dict[str, Calibration] = {}

    def tell(self) -> None:
        """Publish the whole of it now."""
        self._told_s = time.monotonic()
        node = self._settings.node.id
        message = HealthMessage(
            schema=HEALTH_SCHEMA,
            node=node,
            reported_utc=_now(),
            uptime_s=round(self._told_s - self._started_s, 1),
            inputs=[_input_health(each) for each in self._inputs],
            events_waiting=len(self._outbox),
        )
        topic = health_topic(self._settings.mqtt.topic_prefix, node)
        self._publisher.retain(topic, msgspec.json.encode(message))
        for each in self._inputs:
            self._tell_calibration(each)

    def tell_changes(self) -> None:
        """Publish if a state has changed, or it was some time ago."""
        changed = False
        for each in self._inputs:
            status = each.status
            if self._states.get(each.name) != status.state:
                changed = True
                self._states[each.name] = status.state
                text = f": {status.reason}" if status.reason else ""
                level = logging.INFO if status.state in _EXPECTED else logging.WARNING
                log.log(level, "input %s is %s%s", each.name, status.state, text)
            changed = changed or self._calibrations.get(each.name) != _calibration(each)
        if changed or time.monotonic() - self._told_s > EVERY_S:
            self.tell()

    def accounted_for(self) -> bool:
        """Whether each input was scored of late, or is known and told not to be heard."""
        for each in self._inputs:
            age_s = each.numbers.last_score_age_s
            stuck = age_s is None or age_s > UNSCORED_S
            if each.status.state == "hearing" and stuck and each.capture.ring.waiting:
                return False
        return bool(self._states) and "starting" not in self._states.values()

    def line(self) -> str:
        """One line for the service manager."""
        states = ", ".join(f"{name} {state}" for name, state in self._states.items())
        return f"{states}; {len(self._outbox)} events waiting"

    def _tell_calibration(self, each: Input) -> None:
        state = _calibration(each)
        if self._calibrations.get(each.name) == state:
            return
        self._calibrations[each.name] = state
        node, prefix = self._settings.node.id, self._settings.mqtt.topic_prefix
        reason = _REASONS[state].format(made_with=each.stale)
        message = CalibrationMessage(
            schema=CALIBRATION_SCHEMA,
            node=node,
            input=each.name,
            state=state,
            reason=reason,
            since_utc=_now().replace(microsecond=0),
            bundle=each.bundle.manifest.bundle_id,
        )
        topic = calibration_topic(prefix, node)
        if each.name != ONLY_INPUT:
            topic = f"{topic}/{each.name}"
        self._publisher.retain(topic, msgspec.json.encode(message))
        if reason:
            log.warning("input %s: calibration is %s: %s", each.name, state, reason)


_EXPECTED = {"starting", "hearing", "ended"}
_REASONS: dict[Calibration, str] = {
    "current": "",
    "ageing": (
        "sound has moved away from what was learnt; lasting deviations are told once an hour. "
        "While the machine is well, calibrate anew"
    ),
    "stale": "it was made with the microphone {made_with}; calibrate anew with this one",
}


def _calibration(each: Input) -> Calibration:
    if each.stale:
        return "stale"
    return "ageing" if each.ageing else "current"


def _input_health(each: Input) -> InputHealth:
    status, numbers = each.status, each.numbers
    return InputHealth(
        name=each.name,
        source=each.source.name,
        state=status.state,
        reason=status.reason,
        state_age_s=status.state_age_s,
        level_dbfs=status.level_dbfs,
        last_frame_age_s=status.last_frame_age_s,
        last_score_age_s=numbers.last_score_age_s,
        scored_s=numbers.scored_s,
        gaps=numbers.gaps,
        gaps_s=numbers.gaps_s,
        dropped_s=status.dropped_s,
        real_time_factor=numbers.real_time_factor,
        overloaded=status.overloaded,
        facts=each.source.facts,
    )


def _now() -> datetime:
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
