"""An edge node's state over a wire that is only a list: what it says reaches a tracker, or not."""

from __future__ import annotations

import json

from edge.sparkplug.datatypes import DataType, Value
from edge.sparkplug.metrics import Deadband, Definition, Reading
from edge.sparkplug.payload import Message, encode
from edge.sparkplug.state import EdgeNodeState, Phase
from edge.sparkplug.timebase import TimeBase
from edge.sparkplug.topics import Address, topic_of
from edge.sparkplug.values import DeviceUpdate
from tests.edge.sparkplug.host import GROUP, NODE
from tests.edge.sparkplug.tracker import Tracker

NODE_METRICS = [Definition(name="Waiting", datatype=DataType.INT64)]
DEVICE_METRICS = [
    Definition(name="Score", datatype=DataType.DOUBLE, deadband=Deadband(0.05)),
    Definition(name="State", datatype=DataType.STRING),
    Definition(name="Event", datatype=DataType.INT64, event=True),
]
START_UTC_S = 1_795_000_000.0


class Life:
    """Its clocks stand still unless they are moved."""

    def __init__(self, *, primary_host: bool = False, compact: bool = False) -> None:
        self.monotonic_s, self.utc_s = 100.0, START_UTC_S
        self.tracker = Tracker()
        self.messages: list[Message] = []
        self.connects = 0
        self.state = EdgeNodeState(
            NODE_METRICS,
            {"a": DEVICE_METRICS, "b": DEVICE_METRICS},
            TimeBase(lambda: self.utc_s, lambda: self.monotonic_s),
            primary_host=primary_host,
            compact=compact,
            every_s=0.0,
        )

    def pass_time(self, seconds: float) -> None:
        """Both clocks."""
        self.monotonic_s += seconds
        self.utc_s += seconds

    def connect(self) -> Message:
        """A session whose subscriptions are granted; its will is returned."""
        will = self.state.connecting(self.connects % 256)
        self.connects += 1
        self.state.subscribed()
        self.deliver()
        return will

    def update(self, waiting: int = 0, score: float = 0.3, a: bool = True, b: bool = True) -> None:
        """New values; whether the devices are there."""
        readings = {"Score": Reading(score), "State": Reading("hearing")}
        devices = {"a": DeviceUpdate(a, readings), "b": DeviceUpdate(b, readings)}
        self.state.update(self.monotonic_s, {"Waiting": Reading(waiting)}, devices)
        self.turn()

    def happen(self, device: str, number: int) -> None:
        """An event."""
        self.happened(device, number)
        self.turn()

    def turn(self) -> None:
        """As the thread does."""
        self.state.turn()
        self.deliver()

    def deliver(self, *, lose: bool = False) -> None:
        """What is said arrives; or it is written to a link that is dead already."""
        for message in self.state.take_messages():
            self.messages.append(message)
            if not lose:
                self.hear(message)

    def hear(self, message: Message) -> None:
        """It arrives."""
        topic = topic_of(Address(GROUP, message.type, NODE, message.device))
        self.tracker.hear(topic, encode(message))

    def lose(self, will: Message | None) -> None:
        """The link is gone; the broker says the will now, later, or never."""
        self.state.lost()
        if will is not None:
            self.hear(will)

    @property
    def born(self) -> bool:
        """Whether births were told."""
        return self.state.phase is Phase.BORN

    def happened(self, device: str, number: int) -> None:
        """An event that is not sent yet."""
        self.state.happened(self.monotonic_s, device, {"Event": Reading(number)})

    def kinds(self) -> list[str]:
        """What was said since the last call, as `TYPE device`."""
        said, self.messages = self.messages, []
        return [f"{m.type.value} {m.device or ''}".strip() for m in said]

    def events(self, device: str) -> set[Value]:
        """The events that the host has."""
        return set(self.tracker.values(device, "Event")) - {None}


def born(**options: bool) -> Life:
    """A node whose births were told, and whose history is empty."""
    life = Life(**options)
    life.update()
    life.connect()
    if options.get("primary_host"):
        say(life, 1_000, online=True)
    life.pass_time(1.0)
    life.turn()
    assert life.born
    life.kinds()
    return life


def say(life: Life, timestamp_ms: int, *, online: bool) -> None:
    """The primary host says STATE."""
    life.state.host_said(json.dumps({"online": online, "timestamp": timestamp_ms}).encode())
    life.deliver()
