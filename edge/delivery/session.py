"""One connection to a broker, from the first packet to the last.

Everything runs in the thread that calls `run`, but for `publish`, `subscribe` and `abandon`. Each
session has a paho client of its own, which has nothing to send again: what was in flight when a
session ended is known to the outbox alone.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import LogLevel, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes

from edge.delivery.client import (
    CONNECT_TIMEOUT_S,
    MAX_INCOMING_BYTES,
    make_client,
    oversized,
    properties,
)
from edge.delivery.topics import OFFLINE, ONLINE
from edge.delivery.trouble import (
    Kind,
    Trouble,
    of_connack,
    of_disconnect,
    of_exception,
    of_oversized,
    without_connack,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.delivery.client import Identity
    from edge.delivery.settings import BrokerSettings

log = logging.getLogger(__name__)

GREETING_TIMEOUT_S = 10.0
GOODBYE_TIMEOUT_S = 1.0
LOOP_S = 0.2
FAILURE = 0x80  # reason codes from here on mean that it was not done


class Received(msgspec.Struct, frozen=True):
    """A message from the broker."""

    topic: str
    payload: bytes
    retained: bool  # it is older than this subscription


class Acknowledged(msgspec.Struct, frozen=True):
    """The broker's answer to a message; with a failure it has not taken it."""

    mid: int
    reason: int
    words: str

    @property
    def failed(self) -> bool:
        """Whether the broker refused it."""
        return self.reason >= FAILURE


class Session:
    """Connects when `run` is called, and is over when that returns.

    Args:
        settings: the broker.
        identity: who connects.
        protocol: `paho.MQTTv5` or `paho.MQTTv311`.
        accepted: called in the session's thread when the broker has accepted the connection, to
            subscribe and to publish retained messages.
        received: called in the session's thread with each message.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        identity: Identity,
        protocol: Any,
        accepted: Callable[[Session], None],
        received: Callable[[Received], None],
    ) -> None:
        self.settings, self.identity, self.protocol = settings, identity, protocol
        self.acknowledged: queue.SimpleQueue[Acknowledged] = queue.SimpleQueue()
        self.ready = threading.Event()  # accepted, and the greeting acknowledged
        self.accepted = False
        self.max_packet_bytes: int | None = None
        self.receive_maximum = 65_535
        self.ended: Trouble | None = None
        self.ended_s = 0.0
        self.ready_s = 0.0
        self._when_accepted, self._when_received = accepted, received
        self._greeting: int | None = None
        self.subscribed: dict[str, Trouble | None] = {}  # those answered, and why not
        self._asked: dict[int, str] = {}
        self._end: Trouble | None = None
        self._error = ""
        self._client: paho.Client | None = None

    def run(self, stop: threading.Event) -> None:
        """Connect and serve until the session is over; `ended` then tells why."""
        try:
            client = make_client(self.settings, self.identity, self.protocol)
            self._client = client
            client.on_connect = self._on_connect
            client.on_disconnect = self._on_disconnect
            client.on_publish = self._on_publish
            client.on_subscribe = self._on_subscribe
            client.on_message = self._on_message
            client.on_log = self._on_log
            client.reconnect()
            trouble = self._serve(client, stop)
        except Exception as error:  # noqa: BLE001  (whatever it is, the node tries again)
            trouble = of_exception(error, self.settings)
        self.ended_s, self.ended = time.monotonic(), trouble
        self.ready.clear()
        self._let_go()

    def publish(
        self, topic: str, payload: bytes, *, retain: bool = False, expiry_s: int | None = None
    ) -> int | None:
        """Send with QoS 1; the message id that its acknowledgement has. None: it is over."""
        client, more = self._client, None
        if client is None:
            return None
        if expiry_s is not None and self.protocol == paho.MQTTv5:
            more = properties(PacketTypes.PUBLISH)
            more.MessageExpiryInterval = expiry_s
        return client.publish(topic, payload, qos=1, retain=retain, properties=more).mid

    def subscribe(self, topic: str) -> None:
        """Ask for messages with QoS 1; `subscribed` has the broker's answer."""
        if self._client is not None:
            _, mid = self._client.subscribe(topic, qos=1)
            if mid is not None:
                self._asked[mid] = topic

    def abandon(self, trouble: Trouble) -> None:
        """End the session soon; nothing may be sent any more."""
        self._end = trouble
        self.ready.clear()

    def _serve(self, client: paho.Client, stop: threading.Event) -> Trouble | None:
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        greeted = False
        while self._end is None:
            if stop.is_set():
                self._say_goodbye(client)
                return None
            if client.loop(LOOP_S) != MQTTErrorCode.MQTT_ERR_SUCCESS and self._end is None:
                self._end = self._lost()
            if (coming_bytes := oversized(client)) is not None and self._end is None:
                self._end = of_oversized(coming_bytes, self.settings)
            if self.accepted and not greeted:
                greeted, deadline_s = True, time.monotonic() + GREETING_TIMEOUT_S
            if not self.ready.is_set() and time.monotonic() > deadline_s and self._end is None:
                self._end = self._silence()
        return self._end

    def _silence(self) -> Trouble:
        if not self.accepted:
            return without_connack(self.settings, closed=False)
        return Trouble(
            Kind.TIMEOUT, f"{self.settings.address} accepts the connection and acknowledges nothing"
        )

    def _lost(self) -> Trouble:
        if self.accepted:
            return of_disconnect(None, self._error or "connection lost", self.settings)
        if "certificate" in self._error.lower():
            return Trouble(Kind.TLS, f"{self.settings.address}: the broker wants another "
                           f"mqtt.cert_file ({self._error})")  # fmt: skip
        return without_connack(self.settings, closed=True)

    def _say_goodbye(self, client: paho.Client) -> None:
        """`offline` first, since a clean disconnect discards the will."""
        deadline_s = time.monotonic() + GOODBYE_TIMEOUT_S
        if self.accepted and self.identity.availability is not None:
            told = client.publish(self.identity.availability, OFFLINE, qos=1, retain=True)
            while self._end is None and not told.is_published() and time.monotonic() < deadline_s:
                client.loop(LOOP_S / 10)
        client.disconnect()
        while self._end is None and time.monotonic() < deadline_s + GOODBYE_TIMEOUT_S:
            if client.loop(LOOP_S / 10) != MQTTErrorCode.MQTT_ERR_SUCCESS:
                break

    def _let_go(self) -> None:
        """Break the circle of references, so that sockets are closed now."""
        client, self._client = self._client, None
        if client is not None:
            client.on_connect = client.on_disconnect = client.on_publish = None
            client.on_subscribe = client.on_message = client.on_log = None

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, told: Any) -> None:
        if reason.is_failure:
            self._end = of_connack(reason.value, str(reason), self.settings)
            return
        self.accepted = True
        self.max_packet_bytes = getattr(told, "MaximumPacketSize", None)
        self.receive_maximum = getattr(told, "ReceiveMaximum", self.receive_maximum)
        self._when_accepted(self)
        if self.identity.availability is None:
            self._become_ready()
        else:
            # Events may be sent when this is acknowledged: the broker works.
            self._greeting = self.publish(self.identity.availability, ONLINE, retain=True)

    def _become_ready(self) -> None:
        self.ready_s = time.monotonic()
        self.ready.set()

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _p: Any) -> None:
        if self._end is None and flags.is_disconnect_packet_from_server:
            self._end = of_disconnect(reason.value, str(reason), self.settings)
        elif self._end is None and "eep alive" in str(reason):
            self._end = Trouble(Kind.TIMEOUT, f"{self.settings.address} is gone: no sign of life")

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _p: Any) -> None:
        if mid == self._greeting:
            self._greeting = None  # ids are used again after 65,535 messages
            self._become_ready()
        self.acknowledged.put(Acknowledged(mid, reason.value, str(reason)))

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _p: Any) -> None:
        topic = self._asked.pop(mid, None)
        if topic is None:
            return
        self.subscribed[topic] = None
        if any(reason.is_failure for reason in reasons):
            text = f"{self.settings.address} does not allow to subscribe to {topic}"
            self.subscribed[topic] = Trouble(Kind.ACL, text)
            log.warning("%s", text)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if len(message.payload) > MAX_INCOMING_BYTES:  # it came within one turn of the loop
            self._end = self._end or of_oversized(len(message.payload), self.settings)
            return
        received = Received(message.topic, bytes(message.payload), message.retain)
        self._when_received(received)

    def _on_log(self, _client: Any, _data: Any, level: int, text: str) -> None:
        if level == LogLevel.MQTT_LOG_ERR:
            self._error = text.rpartition("socket: ")[2]
            if "exception in" in text:
                log.error("%s", text)
