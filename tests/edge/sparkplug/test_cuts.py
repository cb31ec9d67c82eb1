"""A link that is cut at random moments: no gap in the sequence, no event missing."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from tests.edge.delivery.test_listen import wait_until
from tests.edge.sparkplug.host import Host
from tests.edge.sparkplug.parts import anomaly, running
from tests.edge.sparkplug.wire import Proxy

if TYPE_CHECKING:
    from pathlib import Path

    from edge.sparkplug.datatypes import Value
    from tests.conftest import Broker

SEQUENCE = "Event/Sequence"


def numbers(host: Host, device: str = "gearbox") -> set[Value]:
    """The events that a host has."""
    return set(host.tracker.values(device, SEQUENCE)) - {None}


def cut_at_random(folder: Path, broker: Broker, messages: int, cuts: int) -> tuple[Host, float]:
    """Events in a stream, and a link that is cut at random moments."""
    chance = random.Random(8)
    places = set(chance.sample(range(messages), cuts))
    began_s = time.monotonic()
    with (
        Proxy(broker.port) as proxy,
        Host(broker.port) as host,
        running(folder, proxy.url) as node,
    ):
        wait_until(lambda: host.tracker.devices.get("motor"))
        for number in range(messages):
            node.event(anomaly(number))
            if number % 5 == 0:
                time.sleep(chance.uniform(0.0, 0.02))
            if number in places:
                proxy.cut()
                time.sleep(chance.uniform(0.0, 0.3))
        wait_until(lambda: len(numbers(host)) == messages)
    return host, time.monotonic() - began_s


def test_300_messages_with_5_cuts_have_no_gap_and_lose_no_event(
    tmp_path: Path, broker: Broker
) -> None:
    """The small version of the soak below."""
    host, _ = cut_at_random(tmp_path, broker, messages=300, cuts=5)
    assert host.tracker.faults == []
    assert numbers(host) == set(range(300))


@pytest.mark.soak
def test_10000_messages_with_50_random_cuts_have_no_gap_and_lose_no_event(
    tmp_path: Path, broker: Broker, capsys: pytest.CaptureFixture[str]
) -> None:
    host, took_s = cut_at_random(tmp_path, broker, messages=10_000, cuts=50)
    assert host.tracker.faults == []
    assert numbers(host) == set(range(10_000))
    with capsys.disabled():
        told = len(host.tracker.values("gearbox", SEQUENCE))
        print(
            f"\nSparkplug soak: {host.tracker.messages} messages, {host.tracker.births} births, "
            f"0 gaps; 10000 of 10000 events, {told} times told; {took_s:.0f} s"
        )
