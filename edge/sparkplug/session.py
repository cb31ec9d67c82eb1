"""One MQTT session of an edge node, from CONNECT to the end, served by the thread that owns it.

A paho client of its own for each session: nothing is queued for, or sent again in, the next one,
which has sequence numbers of its own. QoS 0 is written at once or the session is over, so a host
sees no gap.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any, NamedTuple

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

if TYPE_CHECKING:
    from edge.delivery.settings import MqttSettings

KEEPALIVE_S = 30
CONNECT_TIMEOUT_S = 10.0  # for TCP, and for the answer to CONNECT
GOODBYE_TIMEOUT_S = 1.0
GOODBYE_LOOP_S = 0.02
WITH_WILL = 0x04  # MQTT 5, DISCONNECT: the server publishes the will, too


class Will(NamedTuple):
    """What the server says when the session ends without a word."""

    topic: str
    payload: bytes


class Received(NamedTuple):
    """A message from the server."""

    topic: str
    payload: bytes
    retained: bool


class Session:
    """Not thread-safe.

    Args:
        server: the broker.
        client_id: of this node, and of nobody else.
        protocol: "3.1.1" or "5".
        will: NDEATH, with the bdSeq of this session alone.
    """

    def __init__(self, server: MqttSettings, client_id: str, protocol: str, will: Will) -> None:
        self.trouble: str | None = None  # why it is over
        self.accepted = False
        self.received: deque[Received] = deque()
        self._server, self._is_v5 = server, protocol == "5"
        self._asked: set[int] = set()
        self._client = self._make_client(client_id, will)

    @property
    def subscribed(self) -> bool:
        """Whether the server has accepted the connection and granted every subscription."""
        return self.accepted and not self._asked and self.trouble is None

    def connect(self) -> bool:
        """Reach the server and send CONNECT; whether that could be sent."""
        try:
            self._client.reconnect()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            self.trouble = f"{self._server.address} can't be reached: {reason}"
            return False
        return True

    def accept(self, topics: list[str]) -> bool:
        """Wait for the answer to CONNECT, then subscribe with QoS 1; whether that was granted."""
        self._serve_until(lambda: self.accepted)
        if self.accepted and self.trouble is None:
            _, mid = self._client.subscribe([(topic, 1) for topic in topics])
            if mid is not None:
                self._asked.add(mid)
            self._serve_until(lambda: not self._asked)
        if not self.subscribed and self.trouble is None:
            self.trouble = f"{self._server.address} answers on TCP, but not with MQTT"
        return self.subscribed

    def loop(self, timeout_s: float) -> bool:
        """Serve the network for a moment; whether the session goes on."""
        result = self._client.loop(timeout_s)
        if result != MQTTErrorCode.MQTT_ERR_SUCCESS and self.trouble is None:
            self.trouble = f"{self._server.address} is gone: {paho.error_string(result)}"
        return self.trouble is None

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> paho.MQTTMessageInfo:
        """Send, never retained. A failure ends the session."""
        sent = self._client.publish(topic, payload, qos=qos, retain=False)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS and self.trouble is None:
            self.trouble = f"{self._server.address} is gone: {paho.error_string(sent.rc)}"
        return sent

    def say_goodbye(self, will: Will) -> None:
        """NDEATH, acknowledged if that comes soon, and DISCONNECT."""
        if self.accepted and self.trouble is None:
            told = self.publish(will.topic, will.payload, qos=1)
            deadline_s = time.monotonic() + GOODBYE_TIMEOUT_S
            while not told.is_published() and time.monotonic() < deadline_s:
                if not self.loop(GOODBYE_LOOP_S):
                    break
        if self._is_v5:
            self._client.disconnect(reasoncode=ReasonCode(14 << 4, identifier=WITH_WILL))
        else:
            self._client.disconnect()

    def close(self) -> None:
        """Let go of the socket, which paho closes when nobody holds the client any more."""
        client = self._client
        client.on_connect = client.on_disconnect = client.on_subscribe = client.on_message = None

    def _serve_until(self, done: Any) -> None:
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not done() and time.monotonic() < deadline_s:
            if not self.loop(GOODBYE_LOOP_S):
                return

    def _make_client(self, client_id: str, will: Will) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self._is_v5 else True,
            protocol=paho.MQTTv5 if self._is_v5 else paho.MQTTv311,
            reconnect_on_failure=False,
        )
        client.will_set(will.topic, will.payload, qos=1, retain=False)
        client.connect_timeout = CONNECT_TIMEOUT_S
        client.suppress_exceptions = True
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_message = self._on_message
        address = self._server.address
        if self._is_v5:
            asked = Properties(1)
            asked.SessionExpiryInterval = 0
            client.connect_async(
                address.host, address.port, KEEPALIVE_S, clean_start=True, properties=asked
            )
        else:
            client.connect_async(address.host, address.port, KEEPALIVE_S)
        return client

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if reason.is_failure:
            self.trouble = f"{self._server.address} refuses the connection: {reason}"
        else:
            self.accepted = True

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _p: Any) -> None:
        if self.trouble is None:
            self.trouble = f"{self._server.address} is gone: {reason}"

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _p: Any) -> None:
        self._asked.discard(mid)
        if any(reason.is_failure for reason in reasons):
            self.trouble = f"{self._server.address} does not allow to subscribe to commands"

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.received.append(Received(message.topic, bytes(message.payload), message.retain))
