"""What hosts write: it is read, done by the node, answered; or it does nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.delivery.examples import answer
from edge.sparkplug.catalogue import ANSWER, device_definitions, node_definitions
from edge.sparkplug.commands import LINES, LONGEST, CommandReader
from edge.sparkplug.datatypes import DataType
from edge.sparkplug.edge_node import MOST_ASKED
from edge.sparkplug.sparkplug_b_pb2 import Payload as WirePayload
from edge.sparkplug.state import EdgeNodeState
from edge.sparkplug.timebase import TimeBase
from tests.edge.delivery.test_listen import wait_until
from tests.edge.sparkplug.host import GROUP, NODE, REBIRTH_NOW, Host, command
from tests.edge.sparkplug.parts import pause, replace, running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from edge.sparkplug.commands import Asked
    from edge.sparkplug.edge_node import SparkplugNode
    from tests.conftest import Broker


def commands(node: SparkplugNode, last: str) -> list[Asked]:
    """What hosts ask for, up to a command of this name."""
    found: list[Asked] = []
    wait_until(lambda: last in {each.name for each in found}, lambda: found.extend(node.commands()))
    return found


def test_a_host_commands_and_is_answered(tmp_path: Path, broker: Broker) -> None:
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.online)
        host.write("gearbox", "Command/Acknowledge", DataType.BOOLEAN, value=True)
        host.write("motor", "Command/Shelve", DataType.INT32, 600)
        host.write("gearbox", "Command/Unshelve", DataType.BOOLEAN, value=True)
        host.write("gearbox", "Command/Recalibrate", DataType.BOOLEAN, value=True)
        found = commands(node, "calibrate")
        node.answered(replace(answer(), id="sparkplug-1"))
        node.answered(replace(answer(), id="sparkplug-1"))
        node.answered(replace(answer(), id="somebody else's"))
        wait_until(lambda: len(host.tracker.values("gearbox", ANSWER)) == 3)
        told = host.tracker.values("gearbox", ANSWER)
    assert [each.name for each in found] == ["acknowledge", "shelve", "unshelve", "calibrate"]
    assert b'"for_s":600.0' in found[1].payload
    assert b'"input":"motor"' in found[1].payload
    assert told == [None, *["acknowledge: done: acknowledged 1 event"] * 2]


def reader() -> CommandReader:
    """Of a node with one device, without a network."""
    times = TimeBase(lambda: 1.8e9, lambda: 0.0)
    return CommandReader(
        EdgeNodeState(node_definitions(), {"gearbox": device_definitions(settings())}, times)
    )


def written(node: SparkplugNode, host: Host) -> list[str]:
    """The commands that came before this one."""
    host.write("gearbox", "Command/Unshelve", DataType.BOOLEAN, value=True)
    return [each.name for each in commands(node, "unshelve")]


def test_what_is_no_command_does_nothing_and_ends_nothing(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.online)
        host.write("gearbox", "Command/Acknowledge", DataType.BOOLEAN, value=False)
        host.write("gearbox", "Command/Shelve", DataType.STRING, "an hour")
        host.write("gearbox", "Score", DataType.DOUBLE, 0.0)
        host.write("nobody", "Command/Acknowledge", DataType.BOOLEAN, value=True)
        host.say(f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox", b"\xff" * 100)
        host.say(f"spBv1.0/{GROUP}/NCMD/{NODE}", b"")
        host.say(*command(None, "Node Control/Rebirth", DataType.BOOLEAN, value=False))
        assert written(node, host) == ["unshelve"]
        assert (host.tracker.births, host.tracker.faults) == (1, [])
    assert "can't be written" in caplog.text
    assert "not a Sparkplug payload" in caplog.text


def test_a_retained_command_is_older_than_the_session_and_is_not_done(
    tmp_path: Path, broker: Broker
) -> None:
    with Host(broker.port) as host:
        topic, payload = command("gearbox", "Command/Acknowledge", DataType.BOOLEAN, value=True)
        host.say(topic, payload, retain=True, qos=1)
        host.say(*REBIRTH_NOW, retain=True, qos=1)
        with running(tmp_path, broker.url) as node:
            wait_until(lambda: host.tracker.online)
            assert written(node, host) == ["unshelve"]
            assert host.tracker.births == 1


def test_a_flood_of_commands_is_bounded(tmp_path: Path, broker: Broker) -> None:
    with Host(broker.port) as host, running(tmp_path, broker.url) as node:
        wait_until(lambda: host.tracker.online)
        wire = WirePayload()
        for _ in range(3 * MOST_ASKED):
            wire.metrics.add(name="Command/Acknowledge", boolean_value=True)
        host.say(f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox", wire.SerializeToString())
        pause()
        assert len(node.commands()) == MOST_ASKED


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_time_that_is_no_number_shelves_for_no_time_at_all(value: float) -> None:
    """It would be null in JSON, which stands for the longest time that there is."""
    wire = WirePayload()
    wire.metrics.add(name="Command/Shelve", double_value=value)
    topic = f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox"
    assert reader().read(topic, wire.SerializeToString()) == []


def test_one_message_is_a_few_lines_of_the_log_and_none_is_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reading = reader()
    wire = WirePayload()
    for number in range(300):
        wire.metrics.add(name=f"no such {number:b}", string_value="x\n" * 10)
    reading.read(f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox", wire.SerializeToString())
    long = WirePayload()
    long.metrics.add(name="y" * 15_000)
    reading.read(f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox", long.SerializeToString())
    assert 0 < len(caplog.messages) <= LINES
    assert max(map(len, caplog.messages)) < 400
    assert "\n" not in "".join(caplog.messages)


def test_what_is_larger_than_any_command_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    wire = WirePayload()
    wire.metrics.add(name="Command/Acknowledge", boolean_value=True)
    wire.metrics.add(name="x" * LONGEST)
    topic = f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox"
    assert reader().read(topic, wire.SerializeToString()) == []
    assert f"at most {LONGEST}" in caplog.text


def test_a_command_by_alias_and_without_a_type_is_understood(
    tmp_path: Path, broker: Broker
) -> None:
    compact = settings(compact=True)
    with Host(broker.port) as host, running(tmp_path, broker.url, compact) as node:
        wait_until(lambda: host.tracker.online)
        names = [each.name for each in device_definitions(compact)]
        alias = len(node_definitions()) + 1 + names.index("Command/Shelve")
        wire = WirePayload()
        wire.metrics.add(alias=alias, double_value=60.0)
        host.say(f"spBv1.0/{GROUP}/DCMD/{NODE}/gearbox", wire.SerializeToString())
        found = commands(node, "shelve")
    assert found[0].payload.endswith(b'"for_s":60.0}')
