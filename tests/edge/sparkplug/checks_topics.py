"""Assertions about each message by itself: its topic, QoS 0 and not retained, its date."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sparkplug.topics import NAMESPACE, MessageType, parse, topic_of
from tests.edge.sparkplug.claims import claims
from tests.edge.sparkplug.host import GROUP, NODE
from tests.edge.sparkplug.parts import DEVICES, now_ms

if TYPE_CHECKING:
    from tests.edge.sparkplug.scenarios import Sent, World

T = MessageType
DAY_MS = 86_400_000


def every(world: World, *types: MessageType) -> list[Sent]:
    """Messages of some types, of all scenarios; there are some of each type."""
    found = [sent for capture in world.all() for sent in capture.sent(*types)]
    assert {sent.type for sent in found} >= set(types)
    return found


def plainly_sent(world: World, type_: MessageType) -> None:
    """QoS 0, not retained."""
    assert {(s.packet.qos, s.packet.retain) for s in every(world, type_)} == {(0, False)}


def addressed(world: World, type_: MessageType, *, device: bool) -> None:
    """The topic is that of the type, of this node, and of one of its devices."""
    of = DEVICES if device else (None,)
    topics = {f"{NAMESPACE}/{GROUP}/{type_.value}/{NODE}" + (f"/{d}" if d else "") for d in of}
    assert {sent.packet.topic for sent in every(world, type_)} <= topics


def dated(world: World, type_: MessageType) -> None:
    """The payload has the time at which it was sent, in UTC, to the day at least."""
    for sent in every(world, type_):
        assert sent.payload.timestamp_ms is not None
        assert abs(sent.payload.timestamp_ms - now_ms()) < DAY_MS


@claims(
    "topics-nbirth-mqtt", "payloads-nbirth-qos", "payloads-nbirth-retain",
    "message-flow-edge-node-birth-publish-nbirth-qos",
    "message-flow-edge-node-birth-publish-nbirth-retained",
)  # fmt: skip
def nbirth_goes_out_plainly(world: World) -> None:
    plainly_sent(world, T.NBIRTH)


@claims(
    "topics-dbirth-mqtt", "payloads-dbirth-qos", "payloads-dbirth-retain",
    "message-flow-device-birth-publish-dbirth-qos",
    "message-flow-device-birth-publish-dbirth-retained",
)  # fmt: skip
def dbirth_goes_out_plainly(world: World) -> None:
    plainly_sent(world, T.DBIRTH)


@claims("topics-ndata-mqtt", "payloads-ndata-qos", "payloads-ndata-retain")
def ndata_goes_out_plainly(world: World) -> None:
    plainly_sent(world, T.NDATA)


@claims("topics-ddata-mqtt", "payloads-ddata-qos", "payloads-ddata-retain")
def ddata_goes_out_plainly(world: World) -> None:
    plainly_sent(world, T.DDATA)


@claims("topics-ddeath-mqtt")
def ddeath_goes_out_plainly(world: World) -> None:
    plainly_sent(world, T.DDEATH)


@claims("topics-nbirth-topic", "message-flow-edge-node-birth-publish-nbirth-topic")
def nbirth_has_its_topic(world: World) -> None:
    addressed(world, T.NBIRTH, device=False)


@claims(
    "topics-dbirth-topic", "message-flow-device-birth-publish-dbirth-topic",
    "message-flow-device-birth-publish-dbirth-match-edge-node-topic",
)  # fmt: skip
def dbirth_has_its_topic(world: World) -> None:
    addressed(world, T.DBIRTH, device=True)


@claims("topics-ndata-topic")
def ndata_has_its_topic(world: World) -> None:
    addressed(world, T.NDATA, device=False)


@claims("topics-ddata-topic")
def ddata_has_its_topic(world: World) -> None:
    addressed(world, T.DDATA, device=True)


@claims("topics-ddeath-topic")
def ddeath_has_its_topic(world: World) -> None:
    addressed(world, T.DDEATH, device=True)


@claims(
    "topic-structure", "topic-structure-namespace-a",
    "topic-structure-namespace-device-id-associated-message-types",
    "topic-structure-namespace-device-id-non-associated-message-types",
)  # fmt: skip
def every_topic_has_the_one_structure(world: World) -> None:
    for sent in every(world):
        address = parse(sent.packet.topic)
        assert address is not None
        assert topic_of(address) == sent.packet.topic
        assert (address.device is not None) == address.type.of_device


@claims("topics-nbirth-timestamp", "payloads-nbirth-timestamp")
def nbirth_is_dated(world: World) -> None:
    dated(world, T.NBIRTH)


@claims("topics-dbirth-timestamp", "payloads-dbirth-timestamp")
def dbirth_is_dated(world: World) -> None:
    dated(world, T.DBIRTH)


@claims("topics-ndata-timestamp", "payloads-ndata-timestamp")
def ndata_is_dated(world: World) -> None:
    dated(world, T.NDATA)


@claims("topics-ddata-timestamp", "payloads-ddata-timestamp")
def ddata_is_dated(world: World) -> None:
    dated(world, T.DDATA)


@claims("payloads-ddeath-timestamp")
def ddeath_is_dated(world: World) -> None:
    dated(world, T.DDEATH)
