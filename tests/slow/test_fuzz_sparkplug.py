"""Slow evidence: 300,000 random and spoilt NCMD and DCMD."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edge.sparkplug.catalogue import ANSWER, device_definitions, node_definitions
from edge.sparkplug.commands import MOST_REMEMBERED, CommandReader
from edge.sparkplug.history import MAX_EVENT_VALUES, MAX_OTHER_VALUES
from edge.sparkplug.metrics import Reading
from edge.sparkplug.settings import SparkplugSettings
from edge.sparkplug.sparkplug_b_pb2 import Payload
from edge.sparkplug.state import EdgeNodeState
from edge.sparkplug.timebase import TimeBase
from edge.sparkplug.values import DeviceUpdate
from tests.slow.commanded import EACH, INPUTS, MAX_GROWTH_MIB, STEPS_S, WARM, Rig, resident_mib
from tests.slow.damage import damaged, tell

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.fuzz, pytest.mark.usefixtures("nobody_reads")]

TYPES = (0, 1, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 19, 99)
METRICS = ("Command/Acknowledge", "Command/Shelve", "Command/Unshelve", "Command/Recalibrate",
           "Node Control/Rebirth", "Score", "Event/ID", "", "x" * 300, "é\n")  # fmt: skip

YES: tuple[str, tuple[Any, ...]] = ("boolean_value", (True, True, True, False))
FIELDS: tuple[tuple[str, tuple[Any, ...]], ...] = (
    YES, YES, YES,
    ("double_value", (0.5, 60.0, 1e3, -1.0, 1e308, float("nan"), float("inf"))),
    ("long_value", (0, 60, 2**63, 2**64 - 1)),
    ("string_value", ("", "60", "x" * 2_000, "\x1b[2J\n")),
    ("is_null", (True,)),
    ("bytes_value", (b"", b"\xff" * 300)),
)  # fmt: skip
TAILS = (*["DCMD/n/a", "DCMD/n/b"] * 4, "NCMD/n", "DCMD/n/c", "DCMD/n", "NCMD/n/a", "x", "")


def add_metric(wire: Any, random: Random) -> None:
    """A metric as hosts write it, or anything like one."""
    metric = wire.metrics.add()
    if random.random() < 0.5:
        metric.name = random.choice(METRICS[:5])
        if metric.name == "Command/Shelve":
            metric.double_value = random.choice((0.5, 60.0, 1e3, -1.0, 1e9))
        else:
            metric.boolean_value = True
        return
    if random.random() < 0.9:
        metric.name = random.choice(METRICS)
    if random.random() < 0.2:
        metric.alias = random.choice((0, 1, 30, 80, 2**63))
    if random.random() < 0.5:
        metric.datatype = random.choice(TYPES)
    if random.random() < 0.1:
        metric.properties.keys.append("Quality")
    field, values = random.choice(FIELDS)
    setattr(metric, field, random.choice(values))


def message(random: Random, bits: Any) -> tuple[str, bytes]:
    """Topic and payload of an NCMD or DCMD, often spoilt."""
    wire = Payload(timestamp=random.choice((0, 1_800_000_000_000)))
    for _ in range(random.choice((0, 1, 1, 1, 1, 2, 3))):
        add_metric(wire, random)
    data = bytes(wire.SerializeToString())
    kind = random.randrange(10)
    if kind == 0:
        data = random.randbytes(random.randrange(60))
    elif kind < 4 and data:
        data = damaged(data, bits)
    return f"spBv1.0/g/{random.choice(TAILS)}", data


class Host:
    """An edge node's state and the reader of its commands, in front of the rig."""

    def __init__(self, rig: Rig) -> None:
        settings = SparkplugSettings(compact=True)
        definitions = {name: device_definitions(settings) for name in rig.names}
        times = TimeBase(lambda: rig.time.utc_s, lambda: rig.time.monotonic_s)
        self.rig, self.births, self.began_s = rig, 0, rig.time.monotonic_s
        self.state = EdgeNodeState(node_definitions(), definitions, times, compact=True)
        self.reader = CommandReader(self.state)
        self.state.connecting(0)
        self.state.subscribed()
        there = {name: DeviceUpdate(name == "a", {}) for name in rig.names}  # the other is absent
        self.state.update(rig.time.monotonic_s, {}, there)

    def write(self, topic: str, data: bytes, random: Random) -> list[str]:
        """What becomes of a message: the statuses of the answers."""
        statuses = []
        for asked in self.reader.read(topic, data):
            status = self.rig.command(random.choice(STEPS_S), asked.name, asked.payload)
            id_ = json.loads(asked.payload)["id"]
            self.state.happened(
                self.rig.time.monotonic_s, self.reader.devices[id_], {ANSWER: Reading(status)}
            )
            statuses.append(status)
        self.rig.pass_s(0.25)
        self.state.turn()
        self.births += sum(each.type.value == "NBIRTH" for each in self.state.take_messages())
        assert self.births <= 2 + self.rig.time.monotonic_s - self.began_s
        return statuses


def test_whatever_a_host_writes_the_alarms_are_what_the_model_says(memory_folder: Path) -> None:
    """F11."""
    kind = "Sparkplug"
    host = Host(Rig(memory_folder, INPUTS[kind], latching=True))
    random, bits = Random(kind), np.random.default_rng(2)
    outcomes, warm_mib = Counter[str](), 0.0
    for number in range(EACH[kind]):
        if random.random() < 0.1:
            host.rig.event(random.choice(INPUTS[kind]), 1.0, 0.5)
        outcomes.update(host.write(*message(random, bits), random) or ["commands nothing"])
        if number == EACH[kind] // WARM:
            warm_mib = resident_mib()
    host.rig.errands.close()
    growth_mib = resident_mib() - warm_mib
    tell(f"{kind}, {host.births} births, memory {growth_mib:+.1f} MiB", outcomes, "commands")
    assert len(host.reader.devices) <= MOST_REMEMBERED
    assert len(host.state.history) <= MAX_EVENT_VALUES + MAX_OTHER_VALUES
    assert growth_mib < MAX_GROWTH_MIB
    assert (
        min(outcomes[each] for each in ("done", "refused", "commands nothing")) > EACH[kind] / 100
    )
