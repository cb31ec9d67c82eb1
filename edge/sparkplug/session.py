"""One MQTT session of an edge node, from CONNECT to the end, served by the thread that owns it.

Not `edge.delivery.session`: there everything is QoS 1 with a retained availability. Here the will
is another one in each session, births wait for the subscriptions, and QoS 0 goes out in order or
not at all. A paho client of its own means that nothing is sent again in the next session, which
has sequence numbers of its own.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from edge.delivery.client import (
    CONNECT_TIMEOUT_S,
    MAX_INCOMING_BYTES,
    Identity,
    make_client,
    oversized,
)
from edge.delivery.session import Received
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
    import threading
    from collections.abc import Callable

    from edge.delivery.settings import BrokerSettings

PROTOCOLS = {"3.1.1": paho.MQTTv311, "5": paho.MQTTv5}
GOODBYE_TIMEOUT_S = 1.0
SHORT_LOOP_S = 0.02
WITH_WILL = 0x04  # MQTT 5, DISCONNECT: the server publishes the will, too


class Outgoing(NamedTuple):
    """A message, or the will."""

    topic: str
    payload: bytes


class Session:
    """Not thread-safe.

    Args:
        server: the broker.
        client_id: of this node, and of nobody else.
        protocol: "3.1.1" or "5".
        will: NDEATH, with the bdSeq of this session alone.
        stop: no more waiting for answers once it is set.
    """

    def __init__(
        self,
        server: BrokerSettings,
        client_id: str,
        protocol: str,
        will: Outgoing,
        stop: threading.Event,
    ) -> None:
        self.trouble: Trouble | None = None  # why it is over
        self.received: deque[Received] = deque()
        self._server, self._protocol, self._will = server, PROTOCOLS[protocol], will
        self._client_id, self._stop = client_id, stop
        self._accepted = False
        self._asked: set[int] = set()
        self._client: paho.Client | None = None

    def connect(self) -> bool:
        """Reach the server and send CONNECT; whether that could be sent."""
        try:
            client = make_client(self._server, Identity(self._client_id), self._protocol)
            client.will_set(self._will.topic, self._will.payload, qos=1, retain=False)
            client.on_connect = self._on_connect
            client.on_disconnect = self._on_disconnect
            client.on_subscribe = self._on_subscribe
            client.on_message = self._on_message
            client.reconnect()
        except Exception as error:  # noqa: BLE001  (whatever it is, the node tries again)
            self.trouble = of_exception(error, self._server)
            return False
        self._client = client
        return True

    def subscribe(self, topics: list[str]) -> bool:
        """Wait to be accepted, then subscribe with QoS 1; whether all was granted."""
        self._serve_until(lambda: self._accepted)
        if self._accepted and self._client is not None:
            _, mid = self._client.subscribe([(topic, 1) for topic in topics])
            if mid is not None:
                self._asked.add(mid)
            self._serve_until(lambda: not self._asked)
        if not self._accepted or self._asked:
            self._end(without_connack(self._server, closed=False))
        return self.trouble is None

    def loop(self, timeout_s: float) -> bool:
        """Serve the network for a moment; whether the session goes on."""
        if self._client is None:
            return False
        result = self._client.loop(timeout_s)
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS:
            if self._accepted:
                self._end(of_disconnect(None, paho.error_string(result), self._server))
            else:
                self._end(without_connack(self._server, closed=True))
        if (coming_bytes := oversized(self._client)) is not None:
            self._end(of_oversized(coming_bytes, self._server))
        return self.trouble is None

    @property
    def clogged(self) -> bool:
        """Whether what was published has not been written yet."""
        return self._client is not None and self._client.want_write()

    def publish(self, message: Outgoing) -> None:
        """Send with QoS 0, not retained; `loop` writes it."""
        if self._client is not None:
            self._client.publish(message.topic, message.payload, qos=0, retain=False)

    def say_goodbye(self, messages: list[Outgoing]) -> None:
        """What is still to be said; NDEATH, which is the last, acknowledged; and DISCONNECT."""
        client = self._client
        if client is None or self.trouble is not None:
            return
        *before, death = messages
        for each in before:
            self.publish(each)
        told = client.publish(death.topic, death.payload, qos=1)
        deadline_s = time.monotonic() + GOODBYE_TIMEOUT_S
        while not told.is_published() and time.monotonic() < deadline_s:
            if not self.loop(SHORT_LOOP_S):
                return
        reason = None
        if self._protocol == paho.MQTTv5:
            reason = ReasonCode(PacketTypes.DISCONNECT, identifier=WITH_WILL)
        client.disconnect(reason)
        while time.monotonic() < deadline_s + GOODBYE_TIMEOUT_S and self.loop(SHORT_LOOP_S):
            pass

    def close(self) -> None:
        """Break the circle of references, so that the socket is closed now."""
        client, self._client = self._client, None
        if client is not None:
            client.on_connect = client.on_disconnect = None
            client.on_subscribe = client.on_message = None

    def _serve_until(self, done: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not done() and time.monotonic() < deadline_s and not self._stop.is_set():
            if not self.loop(SHORT_LOOP_S):
                return

    def _end(self, trouble: Trouble) -> None:
        """The first reason is the one that counts."""
        self.trouble = self.trouble or trouble

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self._end(of_connack(reason.value, str(reason), self._server))
        else:
            self._accepted = True

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _p: Any) -> None:
        if not self._accepted:
            return
        if flags.is_disconnect_packet_from_server:
            self._end(of_disconnect(reason.value, str(reason), self._server))
        else:
            silent = "eep alive" in str(reason)
            words = "no sign of life" if silent else "connection lost"
            self._end(of_disconnect(None, words, self._server))

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _p: Any) -> None:
        self._asked.discard(mid)
        if any(reason.is_failure for reason in reasons):
            text = f"{self._server.address} does not allow to subscribe to Sparkplug's commands"
            self._end(Trouble(Kind.ACL, text))

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        if len(message.payload) > MAX_INCOMING_BYTES:  # it came within one turn of the loop
            self._end(of_oversized(len(message.payload), self._server))
            return
        self.received.append(Received(message.topic, bytes(message.payload), message.retain))
