"""Delivery over MQTT: QoS 1 from the outbox, a row deleted only when its PUBACK has come.

paho's own queue lives in memory, so it is given only what may be in flight, and never before the
broker has accepted the connection. After a reconnect paho sends again what was in flight; after a
restart the outbox does. A subscriber may see an event twice, with the same sequence number.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.messages import (
    OFFLINE,
    ONLINE,
    availability_topic,
    event_topic,
)

if TYPE_CHECKING:
    from edge.delivery.outbox import Outbox
    from edge.delivery.settings import BrokerAddress, MqttSettings

log = logging.getLogger(__name__)

MAX_IN_FLIGHT = 20
KEEPALIVE_S = 30
RECONNECT_MIN_S, RECONNECT_MAX_S = 1, 30
PROBE_TIMEOUT_S = 3.0
REPEAT_LOG_S = 300.0
POLL_S = 0.05
HURRIED_DRAIN_S = 1.0
GOODBYE_TIMEOUT_S = 1.0


class Publisher:
    """Sends what waits in an outbox. `pump` it from the loop that owns the outbox.

    Args:
        settings: broker and topic prefix.
        node: the node's id, also the MQTT client id's tail.
        outbox: where events wait.
    """

    def __init__(self, settings: MqttSettings, node: str, outbox: Outbox) -> None:
        self._outbox = outbox
        self._address = settings.address
        self._topic = event_topic(settings.topic_prefix, node)
        self._availability = availability_topic(settings.topic_prefix, node)
        self._connected = threading.Event()
        self._acknowledged: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._in_flight: dict[int, int] = {}  # message id -> sequence
        self._sent_up_to = 0
        self._greeting: int | None = None
        self._complaint = _Complaint()
        self._retained: dict[str, bytes] = {}
        self._client = self._make_client(node)

    @property
    def trouble(self) -> str | None:
        """Why the broker can't be reached; None while it can."""
        return None if self._connected.is_set() else self._complaint.text

    def start(self) -> None:
        """Begin connecting in the background; never waits for the broker."""
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()

    def retain(self, topic: str, payload: bytes) -> None:
        """Say, retained, how something stands; said again on every connection."""
        self._retained[topic] = payload
        if self._connected.is_set():
            self._client.publish(topic, payload, qos=1, retain=True)

    def pump(self) -> None:
        """Delete what was acknowledged and send what may be sent. Never blocks."""
        while not self._acknowledged.empty():
            sequence = self._in_flight.pop(self._acknowledged.get(), None)
            if sequence is not None:
                self._outbox.delete(sequence)
        if not self._connected.is_set():
            return
        room = MAX_IN_FLIGHT - len(self._in_flight)
        for waiting in self._outbox.after(self._sent_up_to, room) if room > 0 else ():
            # Whatever publish() says of the link, paho has the message now and will send it.
            sent = self._client.publish(self._topic, waiting.payload, qos=1)
            self._in_flight[sent.mid] = waiting.sequence
            self._sent_up_to = waiting.sequence

    def drain(self, timeout_s: float, stop: threading.Event | None = None) -> int:
        """Send until nothing waits or the time is up; returns how many events still wait.

        Once `stop` is set, at most `HURRIED_DRAIN_S` more.
        """
        deadline = time.monotonic() + timeout_s
        hurried = False
        while (remaining := len(self._outbox)) and time.monotonic() < deadline:
            if stop is not None and stop.is_set() and not hurried:
                hurried = True
                deadline = min(deadline, time.monotonic() + HURRIED_DRAIN_S)
            self.pump()
            time.sleep(POLL_S)
        return remaining

    def stop(self) -> None:
        """Say goodbye: `offline` first, since a clean disconnect discards the will."""
        if self._greeting is not None and self._client.is_connected():
            goodbye = self._client.publish(self._availability, OFFLINE, qos=1, retain=True)
            # The link may have died a moment ago; then the broker publishes the will instead.
            with contextlib.suppress(RuntimeError, ValueError):
                goodbye.wait_for_publish(timeout=GOODBYE_TIMEOUT_S)
        self._client.disconnect()
        self._client.loop_stop()

    def _make_client(self, node: str) -> paho.Client:
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"earpatch-{node}", protocol=paho.MQTTv311
        )
        client.will_set(self._availability, OFFLINE, qos=1, retain=True)
        client.reconnect_delay_set(RECONNECT_MIN_S, RECONNECT_MAX_S)
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        return client

    # The callbacks run in paho's thread and must not raise: an exception would end it.

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            self._complaint.say(f"{self._address} refuses the connection: {reason}")
            return
        for topic, payload in list(self._retained.items()):
            client.publish(topic, payload, qos=1, retain=True)
        # Events may be sent when this is acknowledged: by then paho has sent again what was in
        # flight before, and nothing newer overtakes it.
        self._greeting = client.publish(self._availability, ONLINE, qos=1, retain=True).mid
        self._complaint.clear(f"connected to {self._address}")

    def _on_connect_fail(self, _client: paho.Client, _data: Any) -> None:
        self._complaint.say(
            f"{self._address} can't be reached: {reason_unreachable(self._address)}"
        )

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if self._connected.is_set() and reason.is_failure:
            self._complaint.say(f"{self._address} is gone: {reason}")
        self._connected.clear()

    def _on_publish(
        self, _client: paho.Client, _data: Any, mid: int, _reason: Any, _p: Any
    ) -> None:
        if mid == self._greeting:
            self._connected.set()
        self._acknowledged.put(mid)


class _Complaint:
    """What is wrong with the broker, logged when it changes and then every five minutes."""

    def __init__(self) -> None:
        self.text: str | None = None
        self._logged_at = 0.0

    def say(self, text: str) -> None:
        now = time.monotonic()
        if text != self.text or now - self._logged_at > REPEAT_LOG_S:
            log.warning("%s; events are kept and sent later", text)
            self._logged_at = now
        self.text = text

    def clear(self, text: str) -> None:
        self.text = None
        log.info("%s", text)


def reason_unreachable(address: BrokerAddress) -> str:
    """Why a TCP connection fails, in words; a broker that answers is said to be there."""
    try:
        with socket.create_connection((address.host, address.port), PROBE_TIMEOUT_S):
            return "it answers on TCP, but not with MQTT"
    except (socket.gaierror, UnicodeError):
        return f"the name {address.host!r} is not known to DNS"
    except TimeoutError:
        return "no answer (timed out)"
    except ConnectionRefusedError:
        return "connection refused; is the broker running there?"
    except OSError as error:
        return error.strerror or str(error)
