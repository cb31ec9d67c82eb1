"""The edge node on the network: one thread that serves one session after another.

The thread owns the state and the session, so neither has a lock. The node's loop hands it
snapshots and events, and takes from it what hosts ask for; it never waits for the network.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from itertools import cycle
from typing import TYPE_CHECKING

from edge.delivery.backoff import Backoff, BackoffLimits
from edge.delivery.credentials import check_files
from edge.delivery.quiet_log import QuietLog
from edge.delivery.settings import check_broker
from edge.sparkplug.bd_seq import BdSeq
from edge.sparkplug.catalogue import ANSWER, device_definitions, node_definitions
from edge.sparkplug.commands import CommandReader
from edge.sparkplug.inbox import Happening, Inbox
from edge.sparkplug.metrics import Reading
from edge.sparkplug.payload import Message, encode
from edge.sparkplug.readings import Presence, event_readings, node_readings
from edge.sparkplug.session import Outgoing, Session
from edge.sparkplug.state import EdgeNodeState, Phase
from edge.sparkplug.timebase import TimeBase
from edge.sparkplug.topics import Namespace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge.clock import Clock
    from edge.delivery.messages import CloudEvent
    from edge.delivery.settings import MqttSettings
    from edge.delivery.trouble import Trouble
    from edge.remote import Answer
    from edge.sparkplug.commands import Asked
    from edge.sparkplug.settings import SparkplugSettings
    from edge.sparkplug.snapshot import Snapshot

log = logging.getLogger(__name__)

LOOP_S = 0.1  # how long a change may wait for the network's turn
STOP_TIMEOUT_S = 5.0
AFTER_FAULT_S = 1.0
MOST_ASKED = 100
RESEND_KEEPALIVES = 2.5  # how long a dead link can look alive
BD_SEQ_FILE = "sparkplug-bdseq"


class SparkplugNode:
    """Start it once and stop it once; its methods are thread-safe.

    Args:
        settings: [sparkplug].
        mqtt: [mqtt], for the broker, user and certificates.
        node: the node's id.
        devices: the names of the inputs.
        folder: where bdSeq is kept.
        clock: UTC and monotonic.
        limits: how long to wait between sessions.

    Raises:
        SettingsError: an address is none, or a certificate, key or password can't be read.
    """

    def __init__(
        self,
        settings: SparkplugSettings,
        mqtt: MqttSettings,
        node: str,
        devices: Sequence[str],
        folder: Path,
        clock: Clock,
        limits: BackoffLimits | None = None,
    ) -> None:
        self._settings, self._clock = settings, clock
        self._servers = settings.servers(mqtt)
        for server in self._servers:
            check_broker(server)
            check_files(server)
        edge_node = settings.edge_node or node
        self._names = Namespace(settings.group, edge_node, settings.primary_host)
        self._backoff = Backoff(limits or BackoffLimits())
        self._bd_seq = BdSeq(folder / BD_SEQ_FILE)
        self.state = EdgeNodeState(
            node_definitions(),
            {name: device_definitions(settings) for name in devices},
            TimeBase(lambda: clock.utc_s, clock.monotonic_s),
            primary_host=settings.primary_host is not None,
            compact=settings.compact,
            every_s=settings.every_s,
            resend_s=RESEND_KEEPALIVES * mqtt.keepalive_s,
        )
        self._reader = CommandReader(self.state)
        self._presence, self._inbox = Presence(), Inbox()
        self._asked: queue.Queue[Asked] = queue.Queue(MOST_ASKED)
        self._complaints = QuietLog(log)
        self.trouble: Trouble | None = None  # why there is no session; None while there is one
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sparkplug", daemon=True)

    def start(self) -> None:
        """Begin to connect; never waits for a broker."""
        self._thread.start()

    def stop(self) -> None:
        """Say NDEATH, for a second or two, and end."""
        self._stop.set()
        if self._thread.is_alive():
            # It may hang in the resolver, which has no deadline; then it ends with the process.
            self._thread.join(STOP_TIMEOUT_S)

    def update(self, snapshot: Snapshot) -> None:
        """How the node and its inputs are now."""
        self._inbox.put(self._clock.monotonic_s(), snapshot)

    def event(self, event: CloudEvent) -> None:
        """An event was kept for delivery."""
        if (found := event_readings(event)) is not None:
            self._inbox.put(self._clock.monotonic_s(), Happening(*found))

    def commands(self) -> list[Asked]:
        """What hosts have asked for since the last call."""
        asked = []
        while not self._asked.empty():
            asked.append(self._asked.get_nowait())
        return asked

    def answered(self, answer: Answer) -> None:
        """What became of a command; those that did not come from a host are no matter."""
        device = self._reader.devices.get(answer.id or "")
        if device is not None:
            text = f"{answer.command}: {answer.status}: {answer.text}"
            self._inbox.put(self._clock.monotonic_s(), Happening(device, {ANSWER: Reading(text)}))

    def _run(self) -> None:
        for server in cycle(self._servers):
            try:
                self._round(server)
            except Exception as error:
                # A fault of ours ends the session, not the thread.
                if self._complaints.warn(repr(error), f"Sparkplug session ended by {error!r}"):
                    log.exception("Sparkplug")
                self.state.lost()
                self._stop.wait(AFTER_FAULT_S)
            if self._stop.is_set():
                return

    def _round(self, server: MqttSettings) -> None:
        """One session, if there is one to be had, and the wait after it."""
        will = self._outgoing(self.state.connecting(self._bd_seq.reserve()))
        client_id = f"earpatch-spb-{self._names.edge_node}"
        session = Session(server, client_id, self._settings.protocol, will, self._stop)
        began_s, lasted_s = time.monotonic(), 0.0
        with contextlib.closing(session):
            if self._open(session):
                self.trouble = None
                self._complaints.say(logging.INFO, "", f"Sparkplug edge node at {server.address}")
                self._serve(session)
                lasted_s = time.monotonic() - began_s
        self.state.lost()
        self.trouble = session.trouble
        considerate = self.trouble is not None and self.trouble.considerate
        if self.trouble is not None and not self._stop.is_set():
            text = f"Sparkplug: {self.trouble.text}; values are kept and told later"
            self._complaints.warn(self.trouble.text, text)
        self._wait(self._backoff.after(lasted_s, considerate=considerate))

    def _open(self, session: Session) -> bool:
        """Whether the broker takes it, and grants the subscriptions."""
        if not session.connect():
            return False
        self._bd_seq.used()
        return session.subscribe(self._names.subscriptions())

    def _serve(self, session: Session) -> None:
        deadline_s = time.monotonic() + self._settings.host_wait_s
        self._take_inbox()
        self.state.subscribed()
        while not self._is_over(deadline_s):
            self._send(session)
            if not session.loop(LOOP_S):
                break
            self._receive(session)
            self._take_inbox()
            if not session.clogged:
                self.state.turn()
        else:
            self._take_inbox()
            self.state.leave()
            session.say_goodbye([self._outgoing(each) for each in self.state.take_messages()])
            session.trouble = None  # it was wanted

    def _is_over(self, host_deadline_s: float) -> bool:
        """Whether the session has to end: we stop, or the primary host isn't there."""
        if self._stop.is_set() or self.state.phase is Phase.LEAVING:
            return True
        others = len(self._servers) > 1 and self.state.phase is Phase.WAITING
        waited = time.monotonic() > host_deadline_s
        return others and (waited or self.state.host.online is False)

    def _send(self, session: Session) -> None:
        for message in self.state.take_messages():
            session.publish(self._outgoing(message))

    def _receive(self, session: Session) -> None:
        while session.received:
            message = session.received.popleft()
            if message.topic == self._names.state:
                self.state.host_said(message.payload)
            elif not message.retained:  # a retained command is older than this session
                for asked in self._reader.read(message.topic, message.payload):
                    self._ask(asked)

    def _ask(self, asked: Asked) -> None:
        try:
            self._asked.put_nowait(asked)
        except queue.Full:
            self._complaints.warn("full", f"too many commands at once: {asked.name} is not done")

    def _take_inbox(self) -> None:
        for at_s, what in self._inbox.take():
            if isinstance(what, Happening):
                self.state.happened(at_s, what.device, what.readings)
            else:
                dropped = self.state.history.dropped + self._inbox.dropped
                node = node_readings(what.health, dropped)
                self.state.update(at_s, node, self._presence.devices(what))

    def _wait(self, wait_s: float) -> None:
        """Between two sessions the history goes on."""
        deadline_s = time.monotonic() + wait_s
        while not self._stop.wait(LOOP_S) and time.monotonic() < deadline_s:
            self._take_inbox()

    def _outgoing(self, message: Message) -> Outgoing:
        return Outgoing(self._names.topic(message.type, message.device), encode(message))
