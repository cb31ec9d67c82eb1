"""Assertions about connections: CONNECT, will, subscriptions, the primary host, the end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.payload import Payload, decode
from edge.sparkplug.topics import MessageType
from tests.edge.sparkplug.claims import claims
from tests.edge.sparkplug.host import GROUP, NODE
from tests.edge.sparkplug.scenarios import PRIMARY
from tests.edge.sparkplug.wire import (
    CONNACK,
    CONNECT,
    DISCONNECT,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    V5,
    Packet,
    Will,
)

if TYPE_CHECKING:
    from tests.edge.sparkplug.scenarios import Capture, World

NDEATH = f"spBv1.0/{GROUP}/NDEATH/{NODE}"
BIRTHS = (MessageType.NBIRTH, MessageType.DBIRTH)


def wills(world: World) -> list[Will]:
    """Every CONNECT has one."""
    connects = [packet for capture in world.all() for packet in capture.of(CONNECT)]
    assert len(connects) >= 8
    found = [packet.will for packet in connects]
    assert None not in found
    return [will for will in found if will is not None]


def bd_seq(payload: Payload) -> int:
    """The number in a birth or a death."""
    (metric,) = [metric for metric in payload.metrics if metric.name == "bdSeq"]
    assert metric.datatype is DataType.INT64
    assert isinstance(metric.value, int)
    return metric.value


def position(capture: Capture, kind: int, *, by_node: bool) -> int:
    """Where in a capture the first packet of a kind is."""
    places = (i for i, p in enumerate(capture.packets) if (p.kind, p.by_node) == (kind, by_node))
    return next(places)


@claims(
    "message-flow-edge-node-birth-publish-will-message",
    "payloads-ndeath-will-message",
    "message-flow-edge-node-birth-publish-will-message-topic",
    "topics-ndeath-topic",
)
def the_will_is_ndeath(world: World) -> None:
    assert {will.topic for will in wills(world)} == {NDEATH}


@claims(
    "message-flow-edge-node-birth-publish-will-message-qos",
    "payloads-ndeath-will-message-qos",
)
def the_will_has_qos_1(world: World) -> None:
    assert {will.qos for will in wills(world)} == {1}


@claims(
    "message-flow-edge-node-birth-publish-will-message-will-retained",
    "payloads-ndeath-will-message-retain",
)
def the_will_is_not_retained(world: World) -> None:
    assert {will.retain for will in wills(world)} == {False}


@claims(
    "message-flow-edge-node-birth-publish-will-message-payload",
    "topics-ndeath-payload",
    "topics-ndeath-seq",
    "payloads-ndeath-seq",
)
def a_death_is_bd_seq_alone_and_has_no_seq(world: World) -> None:
    """G02: a host that finds a seq in NDEATH refuses the rebirth."""
    payloads = [decode(will.payload) for will in wills(world)]
    payloads += [
        sent.payload for capture in world.all() for sent in capture.sent(MessageType.NDEATH)
    ]
    for payload in payloads:
        assert [metric.name for metric in payload.metrics] == ["bdSeq"]
        assert payload.seq is None


@claims(
    "message-flow-edge-node-birth-publish-will-message-payload-bdSeq",
    "topics-nbirth-bdseq-increment",
)
def bd_seq_counts_connects_and_outlives_the_process(world: World) -> None:
    for capture in world.all():
        connects = [p.will for p in capture.of(CONNECT)]
        numbers = [bd_seq(decode(will.payload)) for will in connects if will]
        assert numbers == list(range(len(numbers)))
    assert len(world.plain.of(CONNECT)) == 3, "a cut, and another process"


@claims(
    "message-flow-edge-node-birth-publish-nbirth-payload-bdSeq",
    "payloads-nbirth-bdseq",
    "payloads-nbirth-bdseq-repeat",
    "payloads-ndeath-bdseq",
    "topics-nbirth-bdseq-included",
    "topics-nbirth-bdseq-matching",
)
def births_and_deaths_repeat_the_bd_seq_of_their_session(world: World) -> None:
    for capture in world.all():
        for session in capture.sessions():
            (connect,) = session.of(CONNECT)
            assert connect.will is not None
            number = bd_seq(decode(connect.will.payload))
            told = session.sent(MessageType.NBIRTH, MessageType.NDEATH)
            assert {bd_seq(sent.payload) for sent in told} <= {number}


@claims("principles-persistence-clean-session-311")
def sessions_are_clean_with_mqtt_3_1_1(world: World) -> None:
    assert {(p.level, p.clean) for p in world.plain.of(CONNECT)} == {(4, True)}


@claims("principles-persistence-clean-session-50")
def sessions_start_clean_and_expire_at_once_with_mqtt_5(world: World) -> None:
    found = {(p.level, p.clean, p.session_expiry_s) for p in world.version_5.of(CONNECT)}
    assert found == {(V5, True, 0)}


@claims("message-flow-edge-node-ncmd-subscribe", "message-flow-device-dcmd-subscribe")
def commands_are_subscribed_with_qos_1(world: World) -> None:
    for capture in world.all():
        for session in capture.sessions():
            (packet,) = session.of(SUBSCRIBE)
            assert (f"spBv1.0/{GROUP}/NCMD/{NODE}", 1) in packet.filters
            assert (f"spBv1.0/{GROUP}/DCMD/{NODE}/+", 1) in packet.filters


@claims("message-flow-edge-node-birth-publish-connect")
def nothing_is_said_before_the_session_stands(world: World) -> None:
    for capture in world.all():
        for session in capture.sessions():
            said = [i for i, p in enumerate(session.packets) if p.by_node and p.kind == PUBLISH]
            accepted = position(session, CONNACK, by_node=False)
            granted = position(session, SUBACK, by_node=False)
            assert accepted < granted < min(said, default=len(session.packets))


def births_in(capture: Capture) -> int:
    """How many."""
    return len(capture.sent(*BIRTHS))


@claims(
    "message-flow-edge-node-birth-publish-phid-wait",
    "operational-behavior-edge-node-birth-sequence-wait",
)
def births_wait_for_the_primary_host(world: World) -> None:
    assert births_in(world.primary.between("silence", "another")) == 0
    assert births_in(world.primary.between("online", "stale")) == 3
    (packet,) = world.primary.sessions()[0].of(SUBSCRIBE)
    assert (f"spBv1.0/STATE/{PRIMARY}", 1) in packet.filters


@claims("message-flow-edge-node-birth-publish-phid-wait-id")
def another_host_does_not_count(world: World) -> None:
    assert births_in(world.primary.between("another", "offline")) == 0


@claims("message-flow-edge-node-birth-publish-phid-wait-online")
def an_offline_host_does_not_count(world: World) -> None:
    assert births_in(world.primary.between("offline", "older")) == 0
    assert births_in(world.primary.between("gone", "back")) == 0
    assert births_in(world.primary.between("back")) == 3


@claims("message-flow-edge-node-birth-publish-phid-wait-timestamp")
def an_older_word_does_not_count(world: World) -> None:
    assert births_in(world.primary.between("older", "online")) == 0


@claims("operational-behavior-edge-node-termination-host-offline-timestamp")
def an_older_offline_does_not_make_the_node_leave(world: World) -> None:
    """G05."""
    part = world.primary.between("stale", "gone")
    assert not part.sent(MessageType.NDEATH)
    assert not part.of(DISCONNECT)


@claims(
    "message-flow-edge-node-birth-publish-phid-offline",
    "operational-behavior-edge-node-termination-host-offline",
)
def the_node_leaves_when_the_primary_host_does(world: World) -> None:
    part = world.primary.between("gone", "back").packets
    said = [p for p in part if p.by_node and p.kind in {PUBLISH, DISCONNECT}]
    assert [(p.kind, p.topic) for p in said] == [(PUBLISH, NDEATH), (DISCONNECT, "")]


@claims("operational-behavior-edge-node-termination-host-offline-reconnect")
def and_connects_again_to_wait(world: World) -> None:
    part = world.primary.between("gone", "back")
    assert len(part.of(CONNECT)) == 1
    assert len(world.primary.between("back").sent(MessageType.NBIRTH)) == 1


@claims("operational-behavior-primary-application-state-with-multiple-servers-single-server")
def one_server_at_a_time(world: World) -> None:
    sessions = [p.session for p in world.walk.packets if p.by_node]
    assert sessions == sorted(sessions, key=sessions.index), "sessions don't overlap"
    ends = [capture.packets[-1] for capture in world.walk.sessions()]
    assert {packet.session for packet in ends} == set(sessions)


@claims("operational-behavior-primary-application-state-with-multiple-servers-walk")
def the_next_server_where_the_host_is_not(world: World) -> None:
    sessions = world.walk.sessions()
    assert [s.packets[0].session > 1_000 for s in sessions] == [False, True, False]
    assert [births_in(session) for session in sessions] == [0, 3, 3]
    before = world.walk.between("move").of(DISCONNECT)
    assert before, "it has left the second before it came back to the first"


@claims(
    "operational-behavior-edge-node-intentional-disconnect-ndeath",
    "operational-behavior-edge-node-intentional-disconnect-packet",
    "payloads-ndeath-will-message-publisher",
    "payloads-ndeath-will-message-publisher-disconnect-mqtt311",
)
def ndeath_then_disconnect(world: World) -> None:
    assert len(world.plain.of(DISCONNECT)) == 2
    for capture in (*world.plain.sessions()[1:], *world.version_5.sessions()):
        last: list[Packet] = [p for p in capture.packets if p.by_node][-2:]
        assert [(p.kind, p.topic, p.qos) for p in last] == [
            (PUBLISH, NDEATH, 1), (DISCONNECT, "", 0),
        ]  # fmt: skip


@claims("payloads-ndeath-will-message-publisher-disconnect-mqtt50")
def with_mqtt_5_the_will_is_asked_for(world: World) -> None:
    assert [p.reason for p in world.version_5.of(DISCONNECT)] == [0x04]
