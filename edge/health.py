"""What the node says about itself: told when it changes, every so often, and to systemd."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from edge import __version__
from edge.delivery import topics
from edge.delivery.boot import boot_id
from edge.delivery.status import (
    HEALTH_SCHEMA,
    STATE_SCHEMA,
    Health,
    InputHealth,
    InputState,
    NodeState,
)

if TYPE_CHECKING:
    from edge.capture.sound import State
    from edge.clock import Clock
    from edge.delivery.outbox import Outbox
    from edge.delivery.publisher import Publisher
    from edge.desk import AlarmDesk
    from edge.inputs import Input

log = logging.getLogger(__name__)

EVERY_S = 30.0
EXPIRY_S = 100  # of a health message: three that did not come
UNSCORED_S = 15.0  # an input that hears must have been scored since, or the node is stuck
MUTE_S = 15.0  # a source must have given sound, or said why there is none
_EXPECTED = {"starting", "hearing", "ended"}


class SelfReport:
    """Watches the inputs and the alarms, publishes and logs what changes."""

    def __init__(
        self,
        node: str,
        inputs: list[Input],
        desk: AlarmDesk,
        publisher: Publisher,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._node, self._inputs, self._desk = node, inputs, desk
        self._publisher, self._outbox, self._clock = publisher, outbox, clock
        self._started_s = clock.monotonic_s()
        self._told_s = float("-inf")
        self._states: dict[str, State] = {}
        self._told: tuple[object, ...] = ()
        self._told_state: tuple[object, ...] = ()

    def tell(self) -> None:
        """Publish health and state now."""
        self._tell_health()
        self._publisher.retain(topics.STATE, msgspec.json.encode(self.state()))

    def tell_changes(self) -> None:
        """Publish what has changed, and health if that was some time ago."""
        for each in self._inputs:
            self._note(each)
        inputs = (*self._states.items(), self._clock.synced)
        if inputs != self._told or self._clock.monotonic_s() - self._told_s > EVERY_S:
            self._told = inputs
            self._tell_health()
        bundles = tuple(
            (each.bundle.manifest.bundle_id, each.trial, each.calibration) for each in self._inputs
        )
        state = (inputs, bundles, self._desk.revision())
        if state != self._told_state:
            self._told_state = state
            self._publisher.retain(topics.STATE, msgspec.json.encode(self.state()))

    def _tell_health(self) -> None:
        self._told_s = self._clock.monotonic_s()
        health = msgspec.json.encode(self.health())
        self._publisher.retain(topics.HEALTH, health, expiry_s=EXPIRY_S)

    def accounted_for(self) -> bool:
        """Whether each input was scored of late, or is known and told not to be heard."""
        states = {each.name: each.state for each in self._inputs}
        if self._states != states:  # something has changed that is not told yet
            return False
        if not all(_accounted_for(each, states[each.name]) for each in self._inputs):
            return False
        # Sound that was over before any of it could be scored is no reason to be ready.
        return any(states[e.name] != "ended" or _was_scored(e) for e in self._inputs)

    def line(self) -> str:
        """One line for the service manager."""
        states = ", ".join(f"{name} {state}" for name, state in self._states.items())
        return f"{states}; {len(self._outbox)} events waiting"

    def health(self) -> Health:
        """How the node is doing."""
        return Health(
            schema=HEALTH_SCHEMA,
            node=self._node,
            version=__version__,
            reported_utc=self._clock.utc(),
            clock_synced=self._clock.synced,
            boot_id=boot_id(),
            uptime_s=round(self._clock.monotonic_s() - self._started_s, 1),
            inputs=[_input_health(each) for each in self._inputs],
            events_waiting=len(self._outbox),
            events_durable=self._outbox.durable,
            bytes_written_a_day=self._outbox.bytes_written_today,
            trouble=self._outbox.trouble,
        )

    def state(self) -> NodeState:
        """How inputs and alarms stand."""
        return NodeState(
            schema=STATE_SCHEMA,
            node=self._node,
            reported_utc=self._clock.utc(),
            clock_synced=self._clock.synced,
            inputs=[self._input_state(each) for each in self._inputs],
        )

    def _input_state(self, each: Input) -> InputState:
        manifest, calibration = each.bundle.manifest, each.calibration
        return InputState(
            name=each.name,
            input_state=each.state,
            alarm=self._desk.status(each.name),
            bundle=manifest.bundle_id,
            calibration=manifest.calibration_id,
            calibration_state=calibration.state,
            calibration_reason=calibration.reason,
            bundle_trial=each.trial.state,
            bundle_note=each.trial.note,
        )

    def _note(self, each: Input) -> None:
        """Log a change of state."""
        if self._states.get(each.name) == each.state:
            return
        status = each.status  # which may be another one by now
        if self._states.get(each.name) == status.state:
            return
        self._states[each.name] = status.state
        text = f": {status.reason}" if status.reason else ""
        level = logging.INFO if status.state in _EXPECTED else logging.WARNING
        log.log(level, "input %s is %s%s", each.name, status.state, text)


def _accounted_for(each: Input, state: State) -> bool:
    """What is heard must be scored; what is not heard must go on saying so."""
    age_s = each.numbers.last_score_age_s
    if state == "hearing":
        return age_s is not None and age_s <= UNSCORED_S
    return state == "ended" or (state != "starting" and each.capture.mute_s <= MUTE_S)


def _was_scored(each: Input) -> bool:
    return each.numbers.last_score_age_s is not None


def _input_health(each: Input) -> InputHealth:
    return InputHealth(
        name=each.name,
        source=each.source.name,
        facts=each.source.facts,
        **msgspec.structs.asdict(each.status),
        **msgspec.structs.asdict(each.numbers),
    )
