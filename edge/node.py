"""The node's loop: inputs, detectors, outbox, broker; until the sound ends, SIGTERM or SIGHUP."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.alarms.states import Summary
from edge.clips.keeper import ClipKeeper
from edge.clock import Clock
from edge.delivery.home_assistant import HomeAssistant
from edge.delivery.messages import AlarmEvent, describe
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Publisher
from edge.delivery.records import Outgoing
from edge.delivery.reporter import Reporter, corrected
from edge.desk import AlarmDesk, is_told
from edge.errands import Errands
from edge.errors import DeliveryError, EarpatchError
from edge.health import SelfReport
from edge.probation import Probation
from edge.reload import Reload, prepare, renewed
from edge.remote import Remote
from edge.signals import answered
from edge.sparkplug.link import SparkplugLink
from edge.starts import Starts
from edge.status.glance import Glance
from edge.watchdog import Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.alarms.states import Notice
    from edge.delivery.messages import CloudEvent
    from edge.inputs import Input
    from edge.settings import Settings
    from edge.stretch import Found

log = logging.getLogger(__name__)

CLIPS_CLOSE_S = 2.0
WAIT_S = 0.25  # for sound, in a turn of the loop
LOSS_EVERY_S = 1.0
CORRECTED_AT_ONCE = 100  # events whose time is put right in one turn


def run_node(
    settings: Settings,
    *,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    reread: Callable[[], Settings] | None = None,
) -> int:
    """Run until the sources end or `stop` is set; returns the number of events.

    Args:
        settings: what to begin with.
        stop: ends it, as SIGTERM does.
        clock: monotonic and UTC.
        reread: reads the settings anew when SIGHUP asks for it; without it they stay.

    Raises:
        EarpatchError: a bundle, a source or the state folder can't be used.
        DeliveryError: the sound ended and the broker did not take all events in time.
    """
    stop, clock, watchdog = stop or threading.Event(), clock or Clock(), Watchdog()
    starts = Starts()
    reload = Reload(reread, watchdog, starts)
    make = partial(Node, clock=clock, watchdog=watchdog)
    found, current = 0, prepare(settings, starts)
    node = make(*current)
    with answered(stop.set, reload.ask):
        while True:
            found += node.run(stop, reload)
            if (following := reload.take()) is None:
                return found
            current, node = renewed(current, following, make, starts)


class Node:
    """Some inputs, one loop, one broker."""

    def __init__(
        self, settings: Settings, inputs: list[Input], clock: Clock,
        watchdog: Watchdog | None = None,
    ) -> None:  # fmt: skip
        self._settings, self._inputs, self._clock = settings, inputs, clock
        node, folder = settings.node.id, Path(settings.node.state_dir)
        self._outbox = Outbox(folder, settings.outbox)
        self._publisher = Publisher(settings.mqtt, node, self._outbox)
        self._reporter = Reporter(
            node, settings.mqtt.topic_prefix, clock, self._outbox.next_sequence
        )
        self._desk = AlarmDesk(inputs, settings.alarm, folder, clock, self._annunciate)
        self._self = SelfReport(node, inputs, self._desk, self._publisher, self._outbox, clock)
        names = [each.name for each in inputs]
        self._remote = Remote(node, settings.commands, names, self._desk, self._publisher, clock)
        self._sparkplug = SparkplugLink(settings, inputs, folder, self._self, self._remote, clock)
        self._clips = ClipKeeper(settings.clips, folder / "clips", names)
        self._errands = Errands(self._remote, inputs, self._clips, self._self)
        self._probation = Probation(inputs)
        HomeAssistant(
            settings.homeassistant, self._publisher.connection, settings.mqtt.topic_prefix, node,
            names,
        )  # fmt: skip
        self._glance = Glance(folder, self._self, self._publisher)
        self._watchdog = watchdog or Watchdog()
        self._anomalies = 0
        self._loss_asked_s = -LOSS_EVERY_S
        self._uncorrected = not clock.synced  # whether events may wait whose times are wrong
        for each in inputs:
            log.info("%s %s", node, each.description)

    def run(self, stop: threading.Event, reload: Reload | None = None) -> int:
        """Score until the end, or other settings are due; events on disk, then to the broker."""
        reload = reload or Reload(None, self._watchdog)
        with contextlib.closing(self._outbox):
            self._publisher.start()
            self._glance.start()
            self._sparkplug.start()
            try:
                following = self._listen(stop, reload)
                self._tell_loss()
                if not following:
                    self._self.tell_changes()
                    self._watchdog.stopping()  # from here on TimeoutStopSec counts
                    self._drain(stop)
            finally:
                self._glance.close()
                self._errands.close()
                self._probation.close()
                self._clips.close(CLIPS_CLOSE_S)
                self._sparkplug.stop()
                self._publisher.stop()
        return self._anomalies

    def _listen(self, stop: threading.Event, reload: Reload) -> bool:
        """Whether it ended because other settings are due."""
        running = list(self._inputs)
        with contextlib.ExitStack() as stack:
            for each in running:
                stack.enter_context(each)
            while running and not stop.is_set() and not reload.due():
                wait_s = WAIT_S / len(running)
                for each in list(running):
                    self._turn(each, wait_s)
                    if self._is_over(each):
                        running.remove(each)
                self._look_after()
            for each in running:
                self._report(each, each.finish())
            return bool(running) and not stop.is_set()

    def _turn(self, each: Input, wait_s: float) -> None:
        """Score what one input has: one block, so that the others get their turn."""
        self._report(each, each.step(wait_s) or [])
        if (block := each.last_block) is not None:
            self._clips.hear(each.name, block)
            self._errands.hear(each, block)
            self._probation.hear(each, block)
            self._glance.hear(each)
        elif each.state not in {"starting", "hearing"}:
            self._clips.lost(each.name)
        if (score := each.take_sounding()) is not None:
            self._desk.sounding(each.name, score)
        for loud in each.take_loud():
            self._keep(self._reporter.level(each, loud))

    def _look_after(self) -> None:
        """All that has to be done again and again, beside scoring. Never blocks."""
        self._sparkplug.turn()
        self._remote.work()
        self._errands.work()
        self._probation.work()
        self._desk.tick()
        self._self.tell_changes()
        self._glance.work()
        if time.monotonic() >= self._loss_asked_s + LOSS_EVERY_S:
            self._tell_loss()
        if self._uncorrected and self._clock.synced:
            self._correct()
        self._publisher.pump()
        if self._watchdog.due and self._self.accounted_for():
            self._watchdog.alive(self._self.line())

    def _tell_loss(self) -> None:
        """What the outbox had to give up; asking takes a look into a file."""
        self._loss_asked_s = time.monotonic()
        if (loss := self._outbox.take_loss()) is not None:
            self._keep(self._reporter.loss(loss))

    def _is_over(self, each: Input) -> bool:
        """Whether an input has ended; one that fails doesn't take an open event with it."""
        try:
            if not each.ended:
                return False
        except EarpatchError as error:
            self._report(each, each.finish())
            if len(self._inputs) == 1:
                raise
            log.error("%s: %s; the other inputs go on", each.name, error)  # noqa: TRY400
        self._report(each, each.finish())
        return True

    def _report(self, each: Input, found: list[Found]) -> None:
        for one in found:
            self._anomalies += 1
            event = self._reporter.anomaly(each, one)
            self._keep(event)
            data = event.data
            self._desk.event(each.name, event.id, data.start_s, data.end_s, data.score)
            box = (data.start_s, data.end_s, data.low_hz, data.high_hz)
            self._clips.event(each.name, event.id, *box)

    def _annunciate(self, each: Input, notice: Notice) -> None:
        if not is_told(notice):
            return
        if isinstance(notice, Summary):
            self._keep(self._reporter.alarm_summary(each, notice))
        else:
            self._keep(self._reporter.alarm(each, notice))

    def _keep(self, event: CloudEvent) -> None:
        active = isinstance(event, AlarmEvent) and event.data.after.startswith("active")
        self._outbox.put(Outgoing(id=event.id, payload=msgspec.json.encode(event), active=active))
        self._glance.event(event)
        self._sparkplug.event(event)
        log.warning("%s", describe(event), extra={"always": True})

    def _correct(self) -> None:
        """The clock is right now: so are the times of what has not been sent."""
        sequence = 0
        while page := self._outbox.after(sequence, CORRECTED_AT_ONCE):
            for waiting in page:
                if (payload := corrected(waiting.payload, self._clock)) is not None:
                    self._outbox.replace(waiting.sequence, payload)
            sequence = page[-1].sequence
        self._uncorrected = False

    def _drain(self, stop: threading.Event) -> None:
        remaining = self._publisher.drain(self._settings.mqtt.drain_s, stop)
        if remaining:
            reason = self._publisher.trouble or f"{self._settings.mqtt.url} did not acknowledge"
            raise DeliveryError(
                f"events kept in {self._outbox.path} for the next run: {remaining}; {reason}"
            )
