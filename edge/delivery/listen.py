"""`earpatch listen`: a subscriber that prints events as a person would read them."""

from __future__ import annotations

import queue
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery import topics
from edge.delivery.messages import CloudEvent, describe
from edge.delivery.publisher import KEEPALIVE_S, reason_unreachable
from edge.errors import DeliveryError
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.delivery.settings import BrokerAddress

CONNECT_TIMEOUT_S = 10.0
WAIT_S = 0.2


class EventSubscriber:
    """Subscribes to the events of every node under a topic; use it as a context manager.

    Args:
        address: the broker.
        topic: filter, for example `site/area/line/+/event`.

    Raises:
        DeliveryError: on entry, when the broker can't be reached or refuses.
    """

    def __init__(self, address: BrokerAddress, topic: str) -> None:
        self._address, self._topic = address, topic
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._subscribed = threading.Event()
        self._refusal: str | None = None
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect

    def __enter__(self) -> EventSubscriber:
        self._client.connect_async(self._address.host, self._address.port, KEEPALIVE_S)
        self._client.loop_start()
        deadline = time.monotonic() + CONNECT_TIMEOUT_S
        while not self._subscribed.wait(WAIT_S):
            unreachable = None if self._client.is_connected() else self._unreachable()
            if self._refusal or unreachable or time.monotonic() > deadline:
                self._client.loop_stop()
                reason = self._refusal or unreachable or "no answer to the subscription"
                raise DeliveryError(f"{self._address}: {reason}")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def events(self, stop: Callable[[], bool]) -> Iterator[CloudEvent | str]:
        """Events as they come; a text in place of one that can't be read."""
        while not stop():
            try:
                payload = self._messages.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            yield _decode(payload)

    def _unreachable(self) -> str | None:
        reason = reason_unreachable(self._address)
        return None if reason.startswith("it answers") else reason

    def _on_connect(
        self, client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure:
            self._refusal = f"refuses the connection: {reason}"
            return
        try:
            client.subscribe(self._topic, qos=1)
        except ValueError:
            self._refusal = f"{self._topic!r} is not a topic that can be subscribed to"

    def _on_disconnect(
        self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _p: Any
    ) -> None:
        if reason.is_failure and self._subscribed.is_set():
            print(f"earpatch: {self._address} is gone ({reason}); trying again", file=sys.stderr)

    def _on_subscribe(
        self, _client: paho.Client, _data: Any, _mid: int, reasons: Any, _p: Any
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._refusal = f"does not allow to subscribe to {self._topic}"
        else:
            self._subscribed.set()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        if message.topic.endswith(f"/{topics.EVENT}"):
            self._messages.put(bytes(message.payload))


def _decode(payload: bytes) -> CloudEvent | str:
    """Anybody may publish anything."""
    try:
        event: CloudEvent = msgspec.json.decode(payload, type=CloudEvent)
        describe(event)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        return printable(f"a message that is not an event ({error}): {payload[:60]!r}")
    return event


def print_events(
    address: BrokerAddress, topic: str, *, count: int | None, seconds: float | None
) -> int:
    """Print events until `count` came, `seconds` passed, or Ctrl-C; returns how many came."""
    deadline = None if seconds is None else time.monotonic() + seconds
    received = 0

    def finished() -> bool:
        late = deadline is not None and time.monotonic() >= deadline
        return late or (count is not None and received >= count)

    with EventSubscriber(address, topic) as subscriber:
        for event in subscriber.events(finished):
            if isinstance(event, str):
                print(event, flush=True)
                continue
            received += 1
            print(describe(event), flush=True)
    return received
