"""The node's loop: inputs, detectors, outbox, broker; until the sound ends or SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.delivery.messages import (
    LEVEL_SCHEMA,
    SCHEMA,
    EventMessage,
    LevelMessage,
    describe,
)
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Publisher
from edge.errors import DeliveryError, EarpatchError
from edge.health import Health
from edge.inputs import Input
from edge.watchdog import Watchdog
from edge.words import level_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.capture.level import Loud
    from edge.inputs import Found
    from edge.settings import Settings

log = logging.getLogger(__name__)

WAIT_S = 0.25  # for sound, in a turn of the loop


def run_node(settings: Settings, *, stop: threading.Event | None = None) -> int:
    """Run until the sources end or `stop` is set; returns the number of events.

    Raises:
        EarpatchError: a bundle, a source or the state folder can't be used.
        DeliveryError: the sound ended and the broker did not take all events in time.
    """
    inputs = [Input(each, settings.liveness, settings.events) for each in settings.all_inputs()]
    node = Node(settings, inputs)
    with _stop_on_signals(stop or threading.Event()) as stopping:
        return node.run(stopping)


class Node:
    """Some inputs, one loop, one broker."""

    def __init__(self, settings: Settings, inputs: list[Input]) -> None:
        self._settings, self._inputs = settings, inputs
        self._outbox = Outbox(Path(settings.node.state_dir))
        self._publisher = Publisher(settings.mqtt, settings.node.id, self._outbox)
        self._health = Health(settings, inputs, self._publisher, self._outbox)
        self._watchdog = Watchdog()
        self._events = 0
        for each in inputs:
            self._introduce(each)

    def run(self, stop: threading.Event) -> int:
        """Score until the end; events on disk first, then to the broker."""
        with contextlib.closing(self._outbox):
            self._publisher.start()
            self._health.tell()
            try:
                self._listen(stop)
                self._health.tell()
                self._drain(stop)
            finally:
                self._watchdog.stopping()
                self._publisher.stop()
        return self._events

    def _listen(self, stop: threading.Event) -> None:
        running = list(self._inputs)
        with contextlib.ExitStack() as stack:
            for each in running:
                stack.enter_context(each)
            while running and not stop.is_set():
                wait_s = WAIT_S / len(running)
                for each in list(running):
                    self._turn(each, wait_s)
                    if self._is_over(each, alone=len(self._inputs) == 1):
                        running.remove(each)
                self._health.tell_changes()
                self._publisher.pump()
                if self._health.accounted_for():
                    self._watchdog.alive(self._health.line())
            for each in running:
                self._report(each, each.finish())

    def _turn(self, each: Input, wait_s: float) -> None:
        """Score what one input has: one block, so that the others get their turn."""
        self._report(each, each.step(wait_s) or [])
        for loud in each.take_loud():
            self._keep(self._level_message(each, loud))

    def _is_over(self, each: Input, *, alone: bool) -> bool:
        """Whether an input has ended; one that fails doesn't take an open event with it."""
        try:
            if not each.ended:
                return False
        except EarpatchError as error:
            self._report(each, each.finish())
            if alone:
                raise
            log.error("%s: %s; the other inputs go on", each.name, error)  # noqa: TRY400
        self._report(each, each.finish())
        return True

    def _report(self, each: Input, found: list[Found]) -> None:
        for one in found:
            self._keep(self._message(each, one))

    def _keep(self, message: EventMessage | LevelMessage) -> None:
        self._outbox.put(msgspec.json.encode(message))
        self._events += 1
        clock = f"{message.reported_utc.astimezone():%H:%M:%S}"
        log.warning("%s", describe(message, clock), extra={"always": True})

    def _message(self, each: Input, found: Found) -> EventMessage:
        event = found.event
        learnt_s = sum(r.duration_s for r in each.bundle.manifest.recordings)
        return EventMessage(
            schema=SCHEMA,
            node=self._settings.node.id,
            sequence=self._outbox.next_sequence(),
            reported_utc=_now(),
            input=each.name,
            source=each.source.name,
            data_gap=found.data_gap,
            sounds_like=event.sounds_like,
            summary=event.summary(learnt_s),
            bundle=each.bundle.manifest.bundle_id,
            **msgspec.structs.asdict(event),
        )

    def _level_message(self, each: Input, loud: Loud) -> LevelMessage:
        return LevelMessage(
            schema=LEVEL_SCHEMA,
            node=self._settings.node.id,
            sequence=self._outbox.next_sequence(),
            reported_utc=_now(),
            input=each.name,
            source=each.source.name,
            rule=loud.rule.name,
            start_s=round(loud.start_s, 3),
            end_s=round(loud.end_s, 3),
            low_hz=loud.low_hz,
            high_hz=loud.high_hz,
            level_dbfs=round(loud.level_dbfs, 1),
            above_dbfs=loud.rule.above_dbfs,
            summary=level_summary(loud),
        )

    def _introduce(self, each: Input) -> None:
        manifest, backbone = each.bundle.manifest, each.bundle.backbone
        log.info(
            "%s listens to %s; bundle %s, %s %s, up to %.0f Hz",
            self._settings.node.id, each.source.name, manifest.bundle_id,
            backbone.runtime.name, backbone.runtime.version, manifest.limit_hz,
        )  # fmt: skip
        if backbone.runtime != manifest.runtime:
            log.warning(
                "the thresholds were made with %s %s; runtimes round differently",
                manifest.runtime.name, manifest.runtime.version,
            )  # fmt: skip

    def _drain(self, stop: threading.Event) -> None:
        remaining = self._publisher.drain(self._settings.mqtt.drain_s, stop)
        if remaining:
            reason = self._publisher.trouble or f"{self._settings.mqtt.url} did not acknowledge"
            raise DeliveryError(
                f"events kept in {self._outbox.path} for the next run: {remaining}; {reason}"
            )


def _now() -> datetime:
    now = datetime.now(timezone.utc)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


@contextlib.contextmanager
def _stop_on_signals(stop: threading.Event) -> Iterator[threading.Event]:
    """SIGTERM and SIGINT set `stop`; elsewhere than in the main thread there are none to catch."""
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    caught = (signal.SIGTERM, signal.SIGINT)
    previous = {number: signal.signal(number, lambda *_: stop.set()) for number in caught}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
