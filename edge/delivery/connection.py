"""Keeps one connection to the broker: connects again for ever, at decent intervals.

The supervisor's thread makes one `Session` after another. Subscriptions and retained messages are
told to each of them; between them it waits (`backoff`). What is wrong is logged when it changes.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.client import topic_matches_sub

from edge.delivery.backoff import Backoff, BackoffLimits
from edge.delivery.credentials import check_files
from edge.delivery.quiet_log import WINDOW_S, QuietLog
from edge.delivery.session import Session
from edge.delivery.settings import check_broker
from edge.delivery.trouble import Kind, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.delivery.client import Identity
    from edge.delivery.session import Received
    from edge.delivery.settings import BrokerSettings

    Handler = Callable[[Received], None]

log = logging.getLogger(__name__)

STOP_TIMEOUT_S = 5.0
MAX_TOPIC_BYTES = 65_535
SHORT_S, SUSPICIOUS_SESSIONS = 30.0, 3
LINES = 3  # of one kind in five minutes: a link that comes and goes doesn't fill the log
PROTOCOLS = {"5": (paho.MQTTv5,), "3.1.1": (paho.MQTTv311,), "auto": (paho.MQTTv5, paho.MQTTv311)}


NOT_YET = Trouble(Kind.TIMEOUT, "no answer to the subscription")


def can_subscribe(topic: str) -> bool:
    """Whether a text is a topic filter: MQTT 5, 4.7.1."""
    levels = topic.split("/")
    wild = all(level in {"+", "#"} for level in levels if "+" in level or "#" in level)
    fits = 0 < len(topic.encode("utf-8", "replace")) <= MAX_TOPIC_BYTES and "\0" not in topic
    return fits and wild and "#" not in levels[:-1]


class Retained(msgspec.Struct, frozen=True):
    """What every new subscriber is to be told."""

    payload: bytes
    expiry_s: int | None


class Connection:
    """A supervised connection; start it once and stop it once. Its methods are thread-safe.

    Args:
        settings: the broker.
        identity: who connects.
        limits: how long to wait between connections.
        tell: called with each new trouble, from the connection's thread; left out, it is logged.

    Raises:
        SettingsError: a certificate, key or password can't be read. Later that is `trouble`.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        identity: Identity,
        limits: BackoffLimits | None = None,
        tell: Callable[[str], object] | None = None,
    ) -> None:
        check_broker(settings)
        check_files(settings)
        self.settings, self.identity = settings, identity
        self.sessions = 0  # that a broker has accepted
        self._protocols = list(PROTOCOLS[settings.protocol])
        self._backoff = Backoff(limits or BackoffLimits())
        self._trouble: Trouble | None = None  # of the last session, unless it was accepted
        self._repeat_s = 0.0
        self._short_sessions = 0  # in a row
        self._deaf = False  # whether to take no messages, since the last was too large
        self._complaints = QuietLog(log, burst=LINES)
        self._faults = QuietLog(log)
        self._tell = tell or self._warn
        self._session: Session | None = None
        self._retained: dict[str, Retained] = {}
        self._handlers: dict[str, Handler] = {}
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)

    @property
    def session(self) -> Session | None:
        """The present session, if messages may be sent over it."""
        session = self._session
        return session if session is not None and session.ready.is_set() else None

    @property
    def trouble(self) -> Trouble | None:
        """Why there is no session; None while there is one."""
        return None if self.session else self._trouble

    @property
    def refused(self) -> Trouble | None:
        """Of the present session, a subscription that the broker doesn't allow."""
        session = self.session
        answers = list(session.subscribed.values()) if session else []
        return next((trouble for trouble in answers if trouble is not None), None)

    def subscribed(self, topic: str) -> bool:
        """Whether messages of a subscription come, over the present session."""
        session = self.session
        return session is not None and session.subscribed.get(topic, NOT_YET) is None

    def start(self) -> None:
        """Begin to connect; never waits for the broker."""
        self._thread.start()

    def stop(self) -> None:
        """Say goodbye, for a second or two, and end."""
        self._stop.set()
        if self._thread.is_alive():
            # It may hang in the resolver, which has no deadline; then it ends with the process.
            self._thread.join(STOP_TIMEOUT_S)

    def retain(self, topic: str, payload: bytes, expiry_s: int | None = None) -> None:
        """Publish, retained, now and after every connect; later payloads replace earlier ones.

        Args:
            topic: where.
            payload: what.
            expiry_s: the broker forgets it then (MQTT 5 only).
        """
        with self._lock:
            self._retained[topic] = Retained(payload, expiry_s)
            if self._session is not None and self._session.accepted:
                self._session.publish(topic, payload, retain=True, expiry_s=expiry_s)

    def subscribe(self, topic: str, handler: Handler) -> None:
        """Subscribe now and after every connect.

        Args:
            topic: a filter.
            handler: called in the connection's thread; what it raises is logged.

        Raises:
            ValueError: it is no filter.
        """
        if not can_subscribe(topic):
            raise ValueError(f"{topic!r} is not a topic filter")
        with self._lock:
            self._handlers[topic] = handler
            if self._session is not None and self._session.accepted:
                self._session.subscribe(topic)

    def _run(self) -> None:
        while not self._stop.is_set():
            session = self._session = Session(
                self.settings, self.identity, self._protocols[0], self._accepted, self._received
            )
            session.run(self._stop)
            if self._stop.is_set():
                return
            lasted_s = session.ended_s - session.ready_s if session.ready_s else 0.0
            if self._fall_back(session):
                continue
            self._deaf = session.ended is not None and session.ended.kind is Kind.OVERSIZED
            self._complain(self._hinted(session.ended, lasted_s))
            considerate = session.ended is not None and session.ended.considerate
            self._stop.wait(self._backoff.after(lasted_s, considerate=considerate))

    def _fall_back(self, session: Session) -> bool:
        """Whether to try the other version of MQTT at once."""
        if session.accepted or len(self._protocols) == 1:
            return False
        if session.ended is None or session.ended.kind not in {Kind.PROTOCOL, Kind.TIMEOUT}:
            return False  # the version isn't what it fails for
        self._protocols.reverse()
        return bool(session.protocol == paho.MQTTv5)

    def _accepted(self, session: Session) -> None:
        with self._lock:
            self.sessions += 1
            self._trouble = None
            self._protocols = [session.protocol]
            for topic in () if self._deaf else self._handlers:
                session.subscribe(topic)
            for topic, message in self._retained.items():
                session.publish(topic, message.payload, retain=True, expiry_s=message.expiry_s)
        version = "5" if session.protocol == paho.MQTTv5 else "3.1.1"
        deaf = ", and takes no commands until the next connection" if self._deaf else ""
        text = f"connected to {self.settings.address} with MQTT {version}{deaf}"
        if self._tell == self._warn:
            self._complaints.say(logging.INFO, text, text)

    def _received(self, message: Received) -> None:
        with self._lock:
            handlers = [h for t, h in self._handlers.items() if topic_matches_sub(t, message.topic)]
        for handler in handlers:
            self._hand_over(handler, message)

    def _hand_over(self, handler: Handler, message: Received) -> None:
        try:
            handler(message)
        except Exception as error:
            kind = type(error).__name__
            if self._faults.warn(kind, f"{message.topic}: can't be handled ({kind})"):
                log.exception("%s", message.topic)

    def _warn(self, text: str) -> None:
        self._complaints.warn(text, f"{text}; events are kept and sent later")

    def _hinted(self, trouble: Trouble | None, lasted_s: float) -> Trouble | None:
        """Not every broker tells a client that another one with its id has come."""
        short = trouble is not None and trouble.kind is Kind.GONE and 0 < lasted_s < SHORT_S
        self._short_sessions = self._short_sessions + 1 if short else 0
        if trouble is None or self._short_sessions < SUSPICIOUS_SESSIONS:
            return trouble
        hint = f"again and again; does another client use the id {self.identity.client_id}?"
        return Trouble(trouble.kind, f"{trouble.text}, {hint}")

    def _complain(self, trouble: Trouble | None) -> None:
        before, self._trouble = self._trouble, trouble
        if trouble is None:
            return
        now_s = time.monotonic()
        if before is not None and before.text == trouble.text and now_s < self._repeat_s:
            return
        self._repeat_s = now_s + WINDOW_S
        self._tell(trouble.text)
