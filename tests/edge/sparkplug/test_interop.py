"""Readers that others have written read everything that the node says: value, type and time.

`make interop` installs them, each in an environment of its own; without them these tests are
skipped.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from edge.sparkplug import edge_node
from edge.sparkplug.payload import Message, encode
from edge.sparkplug.topics import MessageType
from tests.edge.delivery.test_listen import DEADLINE_S, wait_until
from tests.edge.sparkplug.host import REBIRTH_NOW, Host
from tests.edge.sparkplug.parts import anomaly, pause, replace, running, snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Broker

ROOT = Path(__file__).resolve().parents[3]
INSTALLED = ROOT / ".interop"
SCRIPTS = Path(__file__).parent / "interop"
PEERS = ("sparkplug-payload", "pysparkplug", "mqtt-spb-wrapper")


class Peer(NamedTuple):
    """A reader that listens by itself."""

    name: str
    process: subprocess.Popen[str]

    def read(self) -> list[dict[str, Any]]:
        """What it has read, once it was told to end."""
        output, errors = self.process.communicate(timeout=DEADLINE_S)
        assert self.process.returncode == 0, errors
        return [json.loads(line) for line in output.splitlines()]


def command(name: str, port: int) -> list[str]:
    """How to start a reader.

    Skips the test where it isn't installed.
    """
    if name == "sparkplug-payload":
        node, modules = shutil.which("node"), INSTALLED / "npm"
        if node is None or not (modules / "node_modules" / name).is_dir():
            pytest.skip(f"npm's {name} is not installed; `make interop` does that")
        script = SCRIPTS / "read_with_sparkplug_payload.js"
        return [node, str(script), str(modules), str(port)]
    python = INSTALLED / name / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{name} is not installed; `make interop` does that")
    return [str(python), str(SCRIPTS / f"read_with_{name.replace('-', '_')}.py"), str(port)]


@contextmanager
def listening(name: str, port: int) -> Iterator[Peer]:
    """A reader whose subscription stands; ended by its id if a test leaves it running."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command(name, port), stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first == "READY\n", process.communicate()[1]
        yield Peer(name, process)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def everything_that_a_node_says(folder: Path, broker: Broker) -> None:
    """Births, all kinds of changes, null values, qualities, history, deaths."""
    with Host(broker.port) as host, running(folder, broker.url) as node:
        heard = host.tracker
        wait_until(lambda: heard.devices.get("motor"))
        for number in range(20):
            node.event(anomaly(number))
        node.update(snapshot(scores={"gearbox": 2.5}, waiting=3))
        node.update(snapshot(states={"motor": "silent"}, alarm={"shelved_for_s": 600.0}))
        node.update(snapshot(states={"motor": "absent"}))
        wait_until(lambda: not heard.devices["motor"])
        node.event(anomaly(21, "motor"))
        node.update(snapshot(scores={"motor": 1e-300}))
        wait_until(lambda: 21 in heard.values("motor", "Event/Sequence"))
        quiet = snapshot()
        inputs = [replace(each, level_dbfs=None, gaps=2**40) for each in quiet.health.inputs]
        node.update(quiet._replace(health=replace(quiet.health, inputs=inputs, trouble="no disk")))
        wait_until(lambda: heard.now["gearbox", "Health/Gaps"].value == 2**40)
        host.say(*REBIRTH_NOW)
        wait_until(lambda: heard.births == 2)
        pause()
    assert heard.faults == []


@pytest.mark.parametrize("name", PEERS)
def test_an_independent_reader_reads_every_metric(
    name: str,
    tmp_path: Path,
    broker: Broker,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """G11."""
    said: list[Message] = []

    def noting(message: Message) -> bytes:
        said.append(message)
        return encode(message)

    with ExitStack() as stack:
        peer = stack.enter_context(listening(name, broker.port))
        monkeypatch.setattr(edge_node, "encode", noting)
        everything_that_a_node_says(tmp_path, broker)
        with Host(broker.port) as host:
            host.say("end", b"", qos=1)
        read = peer.read()
    read = [message for message in read if "/NCMD/" not in message["topic"]]
    will, *published = said
    assert will.type is MessageType.NDEATH
    metrics = compare(published, read)
    with capsys.disabled():
        print(f"\n{name} reads {metrics} of {metrics} metrics of {len(published)} messages")


def compare(said: list[Message], read: list[dict[str, Any]]) -> int:
    """Each message, each metric: name, type, value, time, history, quality. How many metrics."""
    count = 0
    assert [r for r in read if "error" in r] == []
    for message, found in zip(said, read, strict=True):
        assert f"/{message.type.value}/" in found["topic"]
        assert found["seq"] == message.seq
        for metric, told in zip(message.metrics, found["metrics"], strict=True):
            definition = metric.definition
            assert told["name"] == definition.name
            assert told["type"].upper() == definition.datatype.name
            assert told["value"] == metric.reading.value, definition.name
            assert told["timestamp"] == metric.timestamp_ms
            assert told["historical"] == metric.is_historical
            if message.type.is_birth and "properties" in told:
                assert told["properties"]["Quality"] == int(metric.reading.quality)
                assert told["properties"].get("engUnit", "") == definition.unit
            count += 1
    return count
