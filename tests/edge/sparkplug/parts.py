"""A node's facts for Sparkplug, and an edge node that runs without the rest of the node."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import msgspec

from edge.clock import Clock
from edge.delivery import examples
from edge.delivery.backoff import BackoffLimits
from edge.delivery.messages import AnomalyEvent, CloudEvent
from edge.delivery.settings import MqttSettings
from edge.sparkplug.edge_node import SparkplugNode
from edge.sparkplug.settings import SparkplugSettings
from edge.sparkplug.snapshot import Heard, Snapshot
from tests.edge.sparkplug.host import GROUP, NODE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.capture.sound import State

DEVICES = ("gearbox", "motor")
QUICK = BackoffLimits(first_s=0.02, last_s=0.1, stable_s=0.0, considerate_s=0.1)
replace = msgspec.structs.replace


def snapshot(
    scores: dict[str, float] | None = None,
    states: dict[str, State] | None = None,
    alarm: dict[str, Any] | None = None,
    waiting: int = 0,
    devices: tuple[str, ...] = DEVICES,
) -> Snapshot:
    """How a node stands that hears all its inputs, but for what is said otherwise."""
    health, state = examples.health(), examples.state()
    now = datetime.now(tz=timezone.utc)
    of_state = states or {}
    inputs = [
        replace(health.inputs[0], name=name, state=of_state.get(name, "hearing"))
        for name in devices
    ]
    alarms = [
        replace(state.inputs[0], name=name, input_state=of_state.get(name, "hearing"),
                alarm=replace(state.inputs[0].alarm, **(alarm or {})))
        for name in devices
    ]  # fmt: skip
    heard = {name: Heard((scores or {}).get(name, 0.3), 57_212.0) for name in devices}
    return Snapshot(
        replace(health, inputs=inputs, events_waiting=waiting),
        replace(state, inputs=alarms, reported_utc=now),
        heard,
    )


def anomaly(number: int, device: str = "gearbox") -> CloudEvent:
    """One of many events."""
    event = examples.events()[0]
    assert isinstance(event, AnomalyEvent)
    data = replace(event.data, sequence=number, input=device, score=1.0 + number / 1000)
    return replace(event, id=f"01KAXG5V20C9D3Z1N8Q4R{number:05d}", data=data)


def settings(**changes: Any) -> SparkplugSettings:
    """Switched on, for the group of the tests."""
    return SparkplugSettings(enabled=True, group=GROUP, every_s=0.0, **changes)


@contextmanager
def running(
    folder: Path,
    url: str,
    chosen: SparkplugSettings | None = None,
    clock: Clock | None = None,
    devices: tuple[str, ...] = DEVICES,
    username: str | None = None,
) -> Iterator[SparkplugNode]:
    """An edge node that has been given its first values, and connects."""
    mqtt = MqttSettings(url=url, keepalive_s=5, username=username)
    node = SparkplugNode(
        chosen or settings(), mqtt, NODE, devices, folder,
        clock or Clock(), QUICK,
    )  # fmt: skip
    node.update(snapshot(devices=devices))
    node.start()
    try:
        yield node
    finally:
        node.stop()


def pause() -> None:
    """Long enough for a turn of the edge node."""
    time.sleep(0.25)


def now_ms() -> int:
    """By this machine's clock."""
    return round(time.time() * 1000)
