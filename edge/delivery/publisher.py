"""Delivery over MQTT: QoS 1 from the outbox, a message deleted only when its PUBACK has come.

At most 20 are unacknowledged. What was in flight when a connection ended is sent again from the
outbox over the next one: a subscriber may see a message twice, with the same id and sequence.
What the broker can't take is quarantined after three attempts (`suspicion`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge.allowance import Allowance
from edge.delivery import topics
from edge.delivery.answers import Answers
from edge.delivery.client import Identity
from edge.delivery.connection import Connection
from edge.delivery.flights import Flight, Flights, too_large
from edge.delivery.lanes import Lanes, Recent
from edge.delivery.refusals import Refusals
from edge.delivery.suspicion import ALONE_S, MAX_ATTEMPTS, held, must_wait, suspects
from edge.delivery.trouble import Kind, Trouble

if TYPE_CHECKING:
    import threading

    from edge.delivery.backoff import BackoffLimits
    from edge.delivery.connection import Handler
    from edge.delivery.outbox import Outbox
    from edge.delivery.records import Waiting
    from edge.delivery.session import Acknowledged, Session
    from edge.delivery.settings import MqttSettings

MAX_IN_FLIGHT = 20
KEPT_FOR_LIVE = 5  # of these, so that a live event doesn't wait for the backlog's PUBACKs
KEPT_FOR_STATES = 4  # of what an MQTT 5 broker allows: states and answers count there, too
ACKNOWLEDGE_S = 60.0
POLL_S = 0.05
HURRIED_DRAIN_S = 1.0
BURST_S = 0.25  # the backlog may save up so much of its rate


class Publisher:
    """Sends what waits in an outbox. `pump` it from the loop that owns the outbox.

    Args:
        settings: broker and topic prefix.
        node: the node's id, also the MQTT client id's tail.
        outbox: where messages wait.
        limits: how long to wait between connections.

    Raises:
        SettingsError: a certificate, key or password can't be read.
    """

    def __init__(
        self,
        settings: MqttSettings,
        node: str,
        outbox: Outbox,
        limits: BackoffLimits | None = None,
    ) -> None:
        self._settings, self._node, self._outbox = settings, node, outbox
        availability = self.topic(topics.AVAILABILITY)
        self.connection = Connection(settings, Identity(f"earpatch-{node}", availability), limits)
        self._session: Session | None = None
        self._in_flight = Flights()
        self._lanes = Lanes(0)
        self._recent = Recent(outbox.next_sequence() - 1, time.monotonic)
        rate_per_s = settings.backlog_rate_per_s
        self._allowance = Allowance(rate_per_s, rate_per_s * BURST_S, time.monotonic)
        self._answers = Answers()
        self._refusals = Refusals()
        self._paused: tuple[str, ...] = ()
        self._suspect: int | None = None  # is sent next, and alone
        self._alone_until_s = 0.0
        self._awaits_quiet = False
        self._hurry = False
        self._acknowledged_s = 0.0  # when the newest acknowledged message had been sent

    @property
    def trouble(self) -> str | None:
        """Why nothing, or not everything, can be delivered; None while it can."""
        trouble = self.connection.trouble
        return trouble.text if trouble else self._refusals.text

    def start(self) -> None:
        """Begin connecting in the background; never waits for the broker."""
        self.connection.start()

    def topic(self, leaf: str) -> str:
        """The node's own topic of that name."""
        return topics.topic_of(self._settings.topic_prefix, self._node, leaf)

    def retain(self, leaf: str, payload: bytes, expiry_s: int | None = None) -> None:
        """Say, retained, now and on every connection."""
        self.connection.retain(self.topic(leaf), payload, expiry_s)

    def subscribe(self, leaf: str, handler: Handler) -> None:
        """Listen to one of the node's own topics, in the connection's thread."""
        self.connection.subscribe(self.topic(leaf), handler)

    def publish(self, leaf: str, payload: bytes) -> bool:
        """Say something once, not kept: an answer.

        False while it can't be said: no connection, or a broker that does not take it so fast.
        """
        session = self.connection.session
        return session is not None and self._answers.say(session, self.topic(leaf), payload)

    def pump(self) -> None:
        """Delete what was acknowledged and send what may be sent. Never waits for the broker."""
        self._recent.note(self._outbox.next_sequence() - 1)
        session = self.connection.session
        if self._session is not None:
            self._collect(self._session)
        if session is not None:
            self._answers.send(session)
        if session is not self._session:
            if self._session is not None:
                self._blame(self._session)
            self._in_flight.clear()
            self._session = session
            self._suspect, self._alone_until_s = None, 0.0
            self._lanes = Lanes(self._recent.before)
        if session is not None and not self._is_overdue(session):
            self._send(session)

    def drain(self, timeout_s: float, stop: threading.Event | None = None) -> int:
        """Send until nothing waits or the time is up; returns how many messages still wait.

        There are no live events any more, so the backlog's rate isn't limited. Once `stop` is
        set, at most `HURRIED_DRAIN_S` more.
        """
        deadline_s = time.monotonic() + timeout_s
        hurried = False
        self._hurry = True
        while (remaining := len(self._outbox)) and time.monotonic() < deadline_s:
            if stop is not None and stop.is_set() and not hurried:
                hurried = True
                deadline_s = min(deadline_s, time.monotonic() + HURRIED_DRAIN_S)
            self.pump()
            time.sleep(POLL_S)
        self._hurry = False
        return remaining

    def stop(self) -> None:
        """Say goodbye, and end."""
        self.connection.stop()
        if self._session is not None:
            self._collect(self._session)

    def _collect(self, session: Session) -> None:
        done = []
        while not session.acknowledged.empty():
            answer = session.acknowledged.get()
            self._answers.acknowledged(answer.mid)
            flight = self._in_flight.pop(answer.mid, None)
            if not self._in_flight:
                self._alone_until_s = 0.0
            if flight is None:
                continue
            if answer.failed:
                self._refused(flight.message, answer)
            else:
                done.append(flight.message.sequence)
                self._acknowledged_s = max(self._acknowledged_s, flight.sent_s)
                self._refusals.accepted(flight.message.leaf)
        if done:
            self._outbox.delete(*done)

    def _refused(self, message: Waiting, answer: Acknowledged) -> None:
        topic = self.topic(message.leaf)
        text = f"{self._settings.address} refuses {topic}: {answer.words}"
        if self._refusals.refused(message.leaf, answer.reason, text):
            self._attempt_failed(message, f"the broker refused it: {answer.words}")
        self._lanes.rewind()

    def _blame(self, session: Session) -> None:
        for flight in suspects(session, self._in_flight.values()):
            self._attempt_failed(flight.message, "the broker ended the connection after it")

    def _attempt_failed(self, message: Waiting, reason: str) -> None:
        if message.attempts + 1 >= MAX_ATTEMPTS:
            self._outbox.quarantine(message.sequence, f"{reason}, {MAX_ATTEMPTS} times")
        else:
            self._outbox.attempted(message.sequence)

    def _is_overdue(self, session: Session) -> bool:
        """Whether a PUBACK is; the connection is given up then."""
        flight = self._in_flight.oldest
        if flight is None or time.monotonic() - flight.sent_s < ACKNOWLEDGE_S:
            return False
        if flight.sent_s < self._acknowledged_s:  # later ones were acknowledged: it's this one
            self._attempt_failed(flight.message, "the broker does not acknowledge it")
        text = f"{session.settings.address} has acknowledged nothing for {ACKNOWLEDGE_S:.0f} s"
        session.abandon(Trouble(Kind.TIMEOUT, text))
        return True

    def _send(self, session: Session) -> None:
        if len(self._outbox) <= len(self._in_flight) or time.monotonic() < self._alone_until_s:
            return
        if self._suspect is not None:
            self._send_suspect(session, self._suspect)
            return
        paused = self._refusals.paused()
        resumed = bool(set(self._paused) - set(paused))
        if resumed or (self._awaits_quiet and held(session, time.monotonic())):
            self._lanes.rewind()
            self._awaits_quiet = False
        self._paused = paused
        flying = self._in_flight.sequences
        for message, backlog in self._lanes.messages(self._outbox, paused):
            if message.sequence in flying:
                continue
            if not self._has_room(session, backlog=backlog):
                return
            if must_wait(message, session, time.monotonic()):
                self._awaits_quiet = True
            elif message.attempts:
                self._suspect = message.sequence
                self._send_suspect(session, message.sequence)
                return
            else:
                self._fly(session, message, backlog=backlog)
                flying = self._in_flight.sequences

    def _has_room(self, session: Session, *, backlog: bool) -> bool:
        window = min(MAX_IN_FLIGHT, max(1, session.receive_maximum - KEPT_FOR_STATES))
        if not backlog:
            return len(self._in_flight) < window
        if len(self._in_flight) >= max(1, window - KEPT_FOR_LIVE):
            return False
        return self._hurry or self._allowance.available()

    def _send_suspect(self, session: Session, sequence: int) -> None:
        """Alone, as soon as what is in flight has been acknowledged, or isn't in good time."""
        now_s = time.monotonic()
        newest_s = self._in_flight.newest_s()
        if newest_s is not None and now_s - newest_s < ALONE_S:
            return
        self._suspect = None
        message = self._outbox.get(sequence)
        if message is not None and message.leaf not in self._refusals.paused():
            self._alone_until_s = now_s + ALONE_S
            self._fly(session, message, backlog=False)

    def _fly(self, session: Session, message: Waiting, *, backlog: bool) -> None:
        topic = self.topic(message.leaf)
        if (reason := too_large(topic, message.payload, session.max_packet_bytes)) is not None:
            self._outbox.quarantine(message.sequence, reason)
            return
        mid = session.publish(topic, message.payload)
        if mid is not None:
            self._in_flight[mid] = Flight(message, time.monotonic())
            if backlog:
                self._allowance.take()
