"""`earpatch listen`: a subscriber that prints events as a person would read them."""

from __future__ import annotations

import queue
import secrets
import sys
import time
from typing import TYPE_CHECKING

import msgspec

from edge.delivery import topics
from edge.delivery.client import Identity
from edge.delivery.connection import Connection, can_subscribe
from edge.delivery.messages import CloudEvent, describe
from edge.errors import DeliveryError
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.delivery.session import Received
    from edge.delivery.settings import BrokerSettings

CONNECT_TIMEOUT_S = 15.0
POLL_S = 0.02
WAIT_S = 0.2


class EventSubscriber:
    """Subscribes to the events of every node under a topic; use it as a context manager.

    Args:
        settings: the broker.
        topic: filter, for example `site/area/line/+/event`.

    Raises:
        DeliveryError: on entry, when the broker can't be reached or refuses.
        SettingsError: a certificate, key or password can't be read.
    """

    def __init__(self, settings: BrokerSettings, topic: str) -> None:
        self._settings, self._topic = settings, topic
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        client_id = f"earpatch-listen-{secrets.token_hex(4)}"
        self._connection = Connection(settings, Identity(client_id), tell=self._tell)
        self._began = False

    def __enter__(self) -> EventSubscriber:
        connection = self._connection
        if not can_subscribe(self._topic):
            raise DeliveryError(f"{self._topic!r} is not a topic that can be subscribed to")
        connection.subscribe(self._topic, self._received)
        connection.start()
        deadline_s = time.monotonic() + CONNECT_TIMEOUT_S
        while not connection.subscribed(self._topic):
            trouble = connection.refused or connection.trouble
            if trouble or time.monotonic() > deadline_s:
                connection.stop()
                text = trouble.text if trouble else "no answer to the subscription"
                raise DeliveryError(text)
            time.sleep(POLL_S)
        self._began = True
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.stop()

    def events(self, stop: Callable[[], bool]) -> Iterator[CloudEvent | str]:
        """Events as they come; a text in place of one that can't be read."""
        while not stop():
            try:
                payload = self._messages.get(timeout=WAIT_S)
            except queue.Empty:
                continue
            yield _decode(payload)

    def _tell(self, trouble: str) -> None:
        if self._began:
            print(f"earpatch: {trouble}; trying again", file=sys.stderr)

    def _received(self, message: Received) -> None:
        if message.topic.endswith(f"/{topics.EVENT}"):
            self._messages.put(message.payload)


def _decode(payload: bytes) -> CloudEvent | str:
    """Anybody may publish anything."""
    try:
        event: CloudEvent = msgspec.json.decode(payload, type=CloudEvent)
        describe(event)
    except (msgspec.DecodeError, ValueError, OverflowError, RecursionError) as error:
        return printable(f"a message that is not an event ({error}): {payload[:60]!r}")
    return event


def print_events(
    settings: BrokerSettings, topic: str, *, count: int | None, seconds: float | None
) -> int:
    """Print events until `count` came, `seconds` passed, or Ctrl-C; returns how many came."""
    deadline = None if seconds is None else time.monotonic() + seconds
    received = 0

    def finished() -> bool:
        late = deadline is not None and time.monotonic() >= deadline
        return late or (count is not None and received >= count)

    with EventSubscriber(settings, topic) as subscriber:
        for event in subscriber.events(finished):
            if isinstance(event, str):
                print(event, flush=True)
                continue
            received += 1
            print(describe(event), flush=True)
    return received
