"""A host application over a real broker: it listens to everything, commands, and says STATE."""

from __future__ import annotations

import json
import threading
import time

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.sparkplug.datatypes import DataType, Value
from edge.sparkplug.metrics import REBIRTH, Definition, Metric, Reading
from edge.sparkplug.payload import Message, encode
from edge.sparkplug.topics import NAMESPACE, Address, MessageType, state_topic, topic_of
from tests.edge.delivery.test_listen import DEADLINE_S
from tests.edge.sparkplug.tracker import Tracker

GROUP, NODE = "plant", "pump-3"


def command(device: str | None, name: str, datatype: DataType, value: Value) -> tuple[str, bytes]:
    """NCMD or DCMD, topic and payload."""
    type_ = MessageType.NCMD if device is None else MessageType.DCMD
    now_ms = round(time.time() * 1000)
    metric = Metric(definition=Definition(name=name, datatype=datatype), reading=Reading(value),
                    timestamp_ms=now_ms)  # fmt: skip
    message = Message(type=type_, device=device, metrics=(metric,), seq=None, timestamp_ms=now_ms)
    return topic_of(Address(GROUP, type_, NODE, device)), encode(message)


REBIRTH_NOW = command(None, REBIRTH, DataType.BOOLEAN, value=True)


class Host:
    """Use it as a context manager."""

    def __init__(self, port: int, username: str | None = None) -> None:
        self.tracker = Tracker()
        self.raw: list[tuple[str, bytes]] = []
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe(f"{NAMESPACE}/#", qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _d, message: self._hear(message)
        self._client.username_pw_set(username)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(DEADLINE_S)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def say(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 0) -> None:
        """Publish, and wait until the broker has it."""
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(DEADLINE_S)

    def write(self, device: str, name: str, datatype: DataType, value: Value) -> None:
        """Write a device's metric."""
        self.say(*command(device, name, datatype, value))

    def state(self, host: str, timestamp_ms: int, *, online: bool) -> None:
        """Say, retained, whether a host is there."""
        text = json.dumps({"online": online, "timestamp": timestamp_ms})
        self.say(state_topic(host), text.encode(), retain=True, qos=1)

    def _hear(self, message: paho.MQTTMessage) -> None:
        self.raw.append((message.topic, bytes(message.payload)))
        self.tracker.hear(message.topic, bytes(message.payload))
