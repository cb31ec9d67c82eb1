"""The edge node over a real mosquitto: links, brokers and hosts that fail, and what survives."""

from __future__ import annotations

import logging
import socket
import threading
import time
from typing import TYPE_CHECKING

from edge.clock import Clock
from edge.delivery.trouble import Kind
from edge.sparkplug.catalogue import device_definitions, node_definitions
from tests.conftest import free_port, run_mosquitto
from tests.edge.delivery.test_listen import wait_until
from tests.edge.sparkplug.host import REBIRTH_NOW, Host
from tests.edge.sparkplug.parts import anomaly, pause, running, settings, snapshot
from tests.edge.sparkplug.wire import CONNECT, Proxy

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from edge.sparkplug.datatypes import Value
    from tests.conftest import Broker

SEQUENCE = "Event/Sequence"


def numbers(host: Host, device: str = "gearbox") -> set[Value]:
    """The events that a host has."""
    return set(host.tracker.values(device, SEQUENCE)) - {None}


def test_a_host_that_listens_knows_every_metric(tmp_path: Path, broker: Broker) -> None:
    with Host(broker.port) as host, running(tmp_path, broker.url):
        wait_until(lambda: host.tracker.devices.get("motor"))
        node = {name for device, name in host.tracker.now if device is None}
        gearbox = {name for device, name in host.tracker.now if device == "gearbox"}
    expected = {each.name for each in node_definitions()}
    assert node == expected | {"bdSeq", "Node Control/Rebirth"}
    assert gearbox == {each.name for each in device_definitions(settings())}
    assert host.tracker.faults == []


def test_what_happened_just_before_the_end_is_told_before_the_death(
    tmp_path: Path, broker: Broker
) -> None:
    with Host(broker.port) as host:
        with running(tmp_path, broker.url) as node:
            wait_until(lambda: host.tracker.devices.get("motor"))
            node.event(anomaly(1))
        wait_until(lambda: not host.tracker.online)
        assert numbers(host) == {1}
        assert host.tracker.faults == []


def test_a_broker_that_restarts_loses_no_event(tmp_path: Path) -> None:
    port = free_port()
    with run_mosquitto(tmp_path, port) as first, running(tmp_path, first.url) as node:
        with Host(port) as host:
            node.event(anomaly(1))
            wait_until(lambda: 1 in numbers(host))
        first.process.kill()
        first.process.wait(timeout=5)
        node.event(anomaly(2))
        pause()
        with run_mosquitto(tmp_path, port), Host(port) as host:
            wait_until(lambda: {1, 2} <= numbers(host))
            times = host.tracker.everything["gearbox", SEQUENCE]
            assert {s.is_historical for s in times if s.value == 1} >= {True}
            assert host.tracker.bd_seq == 1
            assert host.tracker.faults == []


def test_a_node_that_starts_without_a_broker_tells_what_it_heard(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, f"mqtt://127.0.0.1:{port}") as node:
        for number in range(5):
            node.event(anomaly(number))
        wait_until(lambda: node.trouble)
        assert node.trouble is not None
        assert node.trouble.kind is Kind.REFUSED
        with run_mosquitto(tmp_path, port) as broker, Host(broker.port) as host:
            wait_until(lambda: numbers(host) == set(range(5)))
            assert host.tracker.bd_seq == 0, "what could not connect has used no number"
            wait_until(lambda: node.trouble is None)


def test_rebirths_in_the_middle_of_data_leave_no_gap_and_lose_nothing(
    tmp_path: Path, broker: Broker
) -> None:
    """G01."""
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.online)
        for number in range(400):
            node.event(anomaly(number))
            if number % 40 == 0:
                host.say(*REBIRTH_NOW)
            time.sleep(0.008)  # a birth a second is told
        wait_until(lambda: numbers(host) == set(range(400)))
        assert host.tracker.births > 2
        assert host.tracker.faults == []


def test_the_will_of_a_session_that_was_taken_over_kills_nobody(
    tmp_path: Path, broker: Broker
) -> None:
    """The broker notices a dead link only when the node is back with the same client id."""
    with Proxy(broker.port) as proxy, Host(broker.port) as host, running(tmp_path, proxy.url):
        wait_until(lambda: host.tracker.devices.get("motor"))
        proxy.cut_from_node()
        wait_until(lambda: host.tracker.births == 2 and host.tracker.devices.get("motor"))
        (first, second) = [packet.will for packet in proxy.packets if packet.kind == CONNECT]
        assert first is not None
        assert second is not None
        assert first.payload != second.payload
        host.say(first.topic, first.payload)
        wait_until(lambda: host.tracker.late_deaths)
        assert (host.tracker.online, host.tracker.faults) == (True, [])


def test_what_happens_while_the_primary_host_is_away_comes_when_it_is_back(
    tmp_path: Path, broker: Broker
) -> None:
    with (
        Host(broker.port) as host,
        running(tmp_path, broker.url, settings(primary_host="scada")) as node,
    ):
        host.state("scada", 1_000, online=True)
        wait_until(lambda: host.tracker.online)
        host.state("scada", 2_000, online=False)
        wait_until(lambda: not host.tracker.online)
        for number in range(20):
            node.event(anomaly(number))
        pause()
        assert numbers(host) == set()
        host.state("scada", 3_000, online=True)
        wait_until(lambda: numbers(host) == set(range(20)))
        seen = host.tracker.everything["gearbox", SEQUENCE]
        assert all(s.is_historical for s in seen if s.value in range(19))
        assert host.tracker.faults == []


def test_a_clock_that_is_set_two_weeks_back_makes_a_new_birth(
    tmp_path: Path, broker: Broker
) -> None:
    shift_s = [0.0]
    clock = Clock(utc_s=lambda: time.time() + shift_s[0], synced=lambda: True)
    with Host(broker.port) as host, running(tmp_path, broker.url, clock=clock) as node:
        node.event(anomaly(1))
        wait_until(lambda: numbers(host) == {1})
        shift_s[0] = -14 * 86_400.0
        wait_until(lambda: host.tracker.births == 2)
        node.event(anomaly(2))
        wait_until(lambda: numbers(host) == {1, 2})
        (seen,) = [s for s in host.tracker.everything["gearbox", SEQUENCE] if s.value == 2]
        assert abs(seen.timestamp_ms / 1000 - (time.time() + shift_s[0])) < 60.0
        assert (host.tracker.bd_seq, host.tracker.faults) == (0, [])


def test_quality_says_what_can_be_trusted(tmp_path: Path, broker: Broker) -> None:
    """Silent is no missing microphone: the device stays, its score is stale, its level bad."""
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.devices.get("gearbox"))
        now = host.tracker.now
        assert {now["gearbox", name].quality for name in ("Score", "Input/Level")} == {192}
        node.update(snapshot(states={"gearbox": "silent"}, alarm={"suspect": True}))
        wait_until(lambda: now["gearbox", "Input/State"].value == "silent")
        wait_until(lambda: now["gearbox", "Alarm/State"].quality == 500)
        assert now["gearbox", "Score"].quality == 500
        assert now["gearbox", "Input/Level"].quality == 0
        assert now["gearbox", "Input/State"].quality == 192
        node.update(snapshot())
        wait_until(lambda: now["gearbox", "Score"].quality == 192)
        assert host.tracker.devices["gearbox"]


def test_a_fault_of_ours_ends_a_session_and_not_the_thread(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.devices.get("motor"))
        node.update(None)  # type: ignore[arg-type]
        wait_until(lambda: not host.tracker.online)
        wait_until(lambda: host.tracker.devices.get("motor"))
        node.event(anomaly(1))
        wait_until(lambda: numbers(host) == {1})
        assert host.tracker.faults == []
    assert "session ended by" in caplog.text


def test_a_refused_password_is_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with (
        run_mosquitto(tmp_path, free_port(), "allow_anonymous false") as broker,
        running(tmp_path, broker.url) as node,
        caplog.at_level(logging.WARNING),
    ):
        wait_until(lambda: node.trouble)
        assert node.trouble is not None
        assert node.trouble.kind is Kind.AUTH
        wait_until(lambda: "refuses the connection" in caplog.text)


def test_a_port_that_is_silent_does_not_hold_up_the_node(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with running(tmp_path, f"mqtt://127.0.0.1:{port}") as node:
            began_s = time.monotonic()
            for number in range(1_000):
                node.event(anomaly(number))
                node.update(snapshot())
            assert time.monotonic() - began_s < 10.0, "it never waits for the network"
            node.stop()
            assert "sparkplug" not in {thread.name for thread in threading.enumerate()}
