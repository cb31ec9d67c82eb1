"""Assertions about messages: topics, QoS, order, sequence numbers, what births and DATA hold."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.topics import MessageType
from tests.edge.sparkplug.checks_topics import every
from tests.edge.sparkplug.claims import claims
from tests.edge.sparkplug.parts import DEVICES
from tests.edge.sparkplug.scenarios import WRAPPED

if TYPE_CHECKING:
    from edge.sparkplug.payload import Told
    from tests.edge.sparkplug.scenarios import Capture, Sent, World

T = MessageType
DATA, BIRTHS = (T.NDATA, T.DDATA), (T.NBIRTH, T.DBIRTH)


def runs(world: World) -> list[list[Sent]]:
    """Messages from one NBIRTH up to the next one, without deaths of the node."""
    found: list[list[Sent]] = []
    for capture in world.all():
        for session in capture.sessions():
            for sent in session.sent():
                if sent.type is T.NBIRTH:
                    found.append([])
                if sent.type is not T.NDEATH:
                    found[-1].append(sent)
    return found


def in_sequence(world: World, *types: MessageType) -> None:
    """Each number is one more than the one before, and 0 after 255 (G10)."""
    seen = set()
    for run in runs(world):
        for before, after in itertools.pairwise(run):
            assert before.payload.seq is not None
            if after.type in types:
                assert after.payload.seq == (before.payload.seq + 1) % 256
                seen.add(after.type)
    assert seen == set(types)


def metric(sent: Sent, name: str) -> Told:
    """One by its name."""
    (found,) = [each for each in sent.payload.metrics if each.name == name]
    return found


@claims(
    "topics-nbirth-seq-num", "payloads-nbirth-seq", "payloads-sequence-num-req-nbirth",
    "message-flow-edge-node-birth-publish-nbirth-payload-seq",
)  # fmt: skip
def nbirth_has_seq_0(world: World) -> None:
    """G01: one chapter says 0, another 0 to 255; 0 is right by both."""
    assert {sent.payload.seq for sent in every(world, T.NBIRTH)} == {0}


@claims("payloads-sequence-num-always-included")
def every_message_but_ndeath_has_a_seq(world: World) -> None:
    for sent in every(world):
        assert (sent.payload.seq is None) == (sent.type is T.NDEATH)


@claims("payloads-sequence-num-incrementing")
def the_sequence_wraps_after_255(world: World) -> None:
    in_sequence(world, T.DBIRTH, T.NDATA, T.DDATA, T.DDEATH)
    assert len(runs(world)[0]) > WRAPPED
    assert {sent.payload.seq for sent in runs(world)[0]} == set(range(256))


@claims(
    "payloads-dbirth-seq", "payloads-dbirth-seq-inc", "topics-dbirth-seq",
    "message-flow-device-birth-publish-dbirth-payload-seq",
)  # fmt: skip
def dbirth_is_in_sequence(world: World) -> None:
    in_sequence(world, T.DBIRTH)


@claims("payloads-ndata-seq", "payloads-ndata-seq-inc", "topics-ndata-seq-num")
def ndata_is_in_sequence(world: World) -> None:
    in_sequence(world, T.NDATA)


@claims("payloads-ddata-seq", "payloads-ddata-seq-inc", "topics-ddata-seq-num")
def ddata_is_in_sequence(world: World) -> None:
    in_sequence(world, T.DDATA)


@claims(
    "payloads-ddeath-seq", "payloads-ddeath-seq-inc", "payloads-ddeath-seq-number",
    "topics-ddeath-seq-num",
)  # fmt: skip
def ddeath_is_in_sequence(world: World) -> None:
    in_sequence(world, T.DDEATH)


@claims(
    "principles-birth-certificates-order", "payloads-dbirth-order",
    "message-flow-device-birth-publish-nbirth-wait",
)  # fmt: skip
def births_come_first(world: World) -> None:
    for run in runs(world):
        assert [sent.type for sent in run[:2]] == [T.NBIRTH, T.DBIRTH]


@claims("payloads-ndata-order", "payloads-ddata-order")
def no_data_before_every_device_is_born(world: World) -> None:
    """Devices whose microphones are there; others are born later, when they come."""
    for run in runs(world):
        devices = [sent.address.device for sent in run[1 : 1 + len(DEVICES)]]
        assert devices == list(DEVICES)


def rebirth(world: World) -> Capture:
    """The part of a scenario in which a host asks for one while events come."""
    return world.plain.between("rebirth", "commands")


@claims("operational-behavior-data-commands-rebirth-action-1")
def no_data_between_the_command_and_the_births(world: World) -> None:
    """G01: rebirth command while data flows."""
    sent = rebirth(world).sent()
    assert [each.type for each in sent[:3]] == [T.NBIRTH, T.DBIRTH, T.DBIRTH]
    assert len(sent) > 3, "and data goes on"


@claims("operational-behavior-data-commands-rebirth-action-2")
def everything_is_born_again(world: World) -> None:
    sent = rebirth(world).sent(*BIRTHS)
    assert [each.address.device for each in sent] == [None, *DEVICES]


@claims("operational-behavior-data-commands-rebirth-action-3")
def with_the_same_bd_seq(world: World) -> None:
    births = world.plain.sessions()[0].sent(T.NBIRTH)
    assert [metric(each, "bdSeq").value for each in births] == [0, 0]


@claims("operational-behavior-device-ddeath")
def a_missing_microphone_is_a_ddeath(world: World) -> None:
    part = world.plain.between("absent", "present").sent()
    assert [(each.type, each.address.device) for each in part][-1] == (T.DDEATH, "motor")
    back = world.plain.between("present", "deaf").sent()
    assert (T.DBIRTH, "motor") in [(each.type, each.address.device) for each in back]
    assert not world.plain.between("absent", "deaf").sent(T.NDEATH, T.NBIRTH)


@claims(
    "principles-rbe-recommended",
    "operational-behavior-data-publish-nbirth-change",
    "operational-behavior-data-publish-dbirth-change",
)
def what_has_not_changed_is_not_told(world: World) -> None:
    assert world.plain.between("unchanged", "changed").sent() == []
    changed = world.plain.between("changed", "absent").sent(*DATA)
    told = {(each.address.device, m.name) for each in changed for m in each.payload.metrics}
    assert told == {("gearbox", "Score"), (None, "Delivery/Events waiting")}


@claims(
    "operational-behavior-data-commands-rebirth-name", "payloads-nbirth-rebirth-req",
    "topics-nbirth-rebirth-metric",
)  # fmt: skip
def nbirth_offers_rebirth(world: World) -> None:
    for sent in every(world, T.NBIRTH):
        assert metric(sent, "Node Control/Rebirth").properties["readOnly"] is False


@claims("operational-behavior-data-commands-rebirth-datatype")
def rebirth_is_a_boolean(world: World) -> None:
    found = {metric(sent, "Node Control/Rebirth").datatype for sent in every(world, T.NBIRTH)}
    assert found == {DataType.BOOLEAN}


@claims("operational-behavior-data-commands-rebirth-value")
def rebirth_is_false(world: World) -> None:
    found = [metric(sent, "Node Control/Rebirth").value for sent in every(world, T.NBIRTH)]
    assert set(found) == {False}


@claims("operational-behavior-data-commands-rebirth-name-aliases")
def rebirth_has_no_alias(world: World) -> None:
    for sent in world.compact.sent(T.NBIRTH):
        assert metric(sent, "Node Control/Rebirth").alias is None
        assert metric(sent, "bdSeq").alias is not None
