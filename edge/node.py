"""The node's loop: source, ring, detector, outbox, broker; until the sound ends or SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.bundle import Bundle, open_bundle
from edge.capture.source import Capture, Source, open_source
from edge.delivery.messages import (
    CALIBRATION_SCHEMA,
    SCHEMA,
    CalibrationMessage,
    EventMessage,
    describe,
)
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Publisher
from edge.delivery.records import Outgoing
from edge.delivery.ulid import UlidSource
from edge.detector import Detector, rules_for
from edge.embedding import column_s
from edge.errors import DeliveryError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.detector import Findings
    from edge.events import Event
    from edge.settings import Settings

log = logging.getLogger(__name__)


def run_node(settings: Settings, *, stop: threading.Event | None = None) -> int:
    """Run until the source ends or `stop` is set; returns the number of events.

    Raises:
        EarpatchError: the bundle, the source or the state folder can't be used.
        DeliveryError: the sound ended and the broker did not take all events in time.
    """
    bundle = open_bundle(Path(settings.bundle.path), runtime=settings.bundle.runtime)
    source = open_source(settings.source)
    node = Node(settings, bundle, source)
    with _stop_on_signals(stop or threading.Event()) as stopping:
        return node.run(stopping)


class Node:
    """One source, one bundle, one broker."""

    def __init__(self, settings: Settings, bundle: Bundle, source: Source) -> None:
        self._settings, self._source = settings, source
        self._bundle_id = bundle.manifest.bundle_id
        self._learnt_s = sum(r.duration_s for r in bundle.manifest.recordings)
        seconds = column_s(bundle.manifest.front_end, bundle.manifest.backbone)
        rules = rules_for(settings.events.on_delay_s, settings.events.off_delay_s, seconds)
        self._detector = Detector(bundle, rate_hz=source.rate_hz, rules=rules)
        self._outbox = Outbox(Path(settings.node.state_dir), settings.outbox)
        self._ulid = UlidSource()
        self._ageing = False
        self._publisher = Publisher(settings.mqtt, settings.node.id, self._outbox)
        log.info(
            "%s listens to %s at %d Hz; bundle %s, %s %s, up to %.0f Hz",
            settings.node.id, source.name, source.rate_hz, self._bundle_id,
            bundle.backbone.runtime.name, bundle.backbone.runtime.version, self._detector.limit_hz,
        )  # fmt: skip
        if bundle.backbone.runtime != bundle.manifest.runtime:
            log.warning(
                "the thresholds were made with %s %s; runtimes round differently",
                bundle.manifest.runtime.name, bundle.manifest.runtime.version,
            )  # fmt: skip

    def run(self, stop: threading.Event) -> int:
        """Score until the end; events on disk first, then to the broker."""
        with contextlib.closing(self._outbox):
            self._publisher.start()
            self._tell_calibration(ageing=False)
            try:
                events = self._listen(stop)
                self._drain(stop)
            finally:
                self._publisher.stop()
        return events

    def _listen(self, stop: threading.Event) -> int:
        events = 0
        try:
            with Capture(self._source) as capture:
                while not stop.is_set() and (samples := capture.read()) is not None:
                    if len(samples):
                        events += self._report(self._detector.push(samples))
                    self._publisher.pump()
        finally:  # a source that fails doesn't take an open event with it
            events += self._report(self._detector.finish())
        return events

    def _report(self, findings: Findings) -> int:
        if findings.ageing != self._ageing:
            self._tell_calibration(ageing=findings.ageing)
        for event in findings.events:
            now = datetime.now(timezone.utc)
            message = self._message(event, now)
            self._outbox.put(Outgoing(id=self._ulid(), payload=msgspec.json.encode(message)))
            log.warning("%s", describe(message, f"{now.astimezone():%H:%M:%S}"))
        return len(findings.events)

    def _tell_calibration(self, *, ageing: bool) -> None:
        self._ageing = ageing
        now = datetime.now(timezone.utc).replace(microsecond=0)
        message = CalibrationMessage(
            schema=CALIBRATION_SCHEMA,
            node=self._settings.node.id,
            state="ageing" if ageing else "current",
            since_utc=now,
            bundle=self._bundle_id,
        )
        self._publisher.tell_calibration(msgspec.json.encode(message))
        if ageing:
            log.warning(
                "calibration is ageing: sound has moved away from what was learnt; lasting "
                "deviations are told once an hour. While the machine is well, calibrate anew"
            )

    def _message(self, event: Event, now: datetime) -> EventMessage:
        return EventMessage(
            schema=SCHEMA,
            node=self._settings.node.id,
            sequence=self._outbox.next_sequence(),
            reported_utc=now.replace(microsecond=now.microsecond // 1000 * 1000),
            source=self._source.name,
            sounds_like=event.sounds_like,
            summary=event.summary(self._learnt_s),
            bundle=self._bundle_id,
            **msgspec.structs.asdict(event),
        )

    def _drain(self, stop: threading.Event) -> None:
        remaining = self._publisher.drain(self._settings.mqtt.drain_s, stop)
        if remaining:
            reason = self._publisher.trouble or f"{self._settings.mqtt.url} did not acknowledge"
            raise DeliveryError(
                f"events kept in {self._outbox.path} for the next run: {remaining}; {reason}"
            )


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
