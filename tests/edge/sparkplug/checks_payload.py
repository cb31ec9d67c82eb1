"""Assertions about payloads and metrics, some of them over the raw fields of protobuf."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.sparkplug_b_pb2 import Payload as WirePayload
from edge.sparkplug.topics import MessageType
from tests.edge.sparkplug.checks_messages import BIRTHS, DATA, runs
from tests.edge.sparkplug.checks_topics import DAY_MS, every
from tests.edge.sparkplug.claims import claims
from tests.edge.sparkplug.parts import DEVICES, now_ms

if TYPE_CHECKING:
    from tests.edge.sparkplug.scenarios import Sent, World

T = MessageType


def raw(sent: Sent) -> Any:
    """The payload with protobuf's own presence of fields."""
    return parsed(sent.packet.payload)


@cache
def parsed(payload: bytes) -> Any:
    """By the runtime."""
    wire = WirePayload()
    wire.ParseFromString(payload)
    return wire


def raw_metrics(world: World, *types: MessageType) -> list[Any]:
    """All metrics of messages of some types."""
    return [metric for sent in every(world, *types) for metric in raw(sent).metrics]


def names(world: World) -> list[tuple[str | None, str]]:
    """Of all metrics that were born."""
    births = every(world, *BIRTHS)
    return [(s.address.device, m.name or "") for s in births for m in s.payload.metrics]


@claims(
    "message-flow-edge-node-birth-publish-nbirth-payload",
    "message-flow-device-birth-publish-dbirth-payload",
    "topics-ndata-payload",
    "topics-ddata-payload",
)
def payloads_are_protobuf_and_hold_something(world: World) -> None:
    for sent in every(world, *BIRTHS, *DATA):
        assert sent.payload.metrics
        assert raw(sent).SerializeToString() == sent.packet.payload


@claims(
    "topics-nbirth-metrics", "topics-nbirth-metric-reqs", "topics-dbirth-metrics",
    "topics-dbirth-metric-reqs", "payloads-metric-datatype-req",
)  # fmt: skip
def a_birth_says_name_datatype_and_value(world: World) -> None:
    for metric in raw_metrics(world, *BIRTHS):
        assert metric.HasField("name")
        assert metric.HasField("datatype")
        assert metric.HasField("timestamp")
        assert (metric.WhichOneof("value") is None) == metric.is_null


@claims(
    "operational-behavior-data-publish-nbirth-values",
    "operational-behavior-data-publish-dbirth-values",
)
def a_birth_says_values_as_they_are(world: World) -> None:
    after = {
        (sent.address.device, metric.name): metric.value
        for sent in world.plain.between("rebirth", "commands").sent(*BIRTHS)
        for metric in sent.payload.metrics
    }
    assert after["motor", "Input/State"] == "clipped"
    assert after["gearbox", "Event/Sequence"] in {299, 1_000}, "the last one before the births"
    assert after["gearbox", "Score"] == 0.3
    first = {m.name: m for s in world.plain.sent(T.DBIRTH)[:1] for m in s.payload.metrics}
    assert (first["Event/ID"].value, first["Event/ID"].is_null) == (None, True)


@claims("operational-behavior-data-publish-nbirth", "operational-behavior-data-publish-dbirth")
def data_holds_nothing_that_was_not_born(world: World) -> None:
    """G03: and the birth/death sequence number is in no DATA and no DBIRTH."""
    for run in runs(world):
        born: set[tuple[str | None, object]] = set()
        for sent in run:
            told = {(sent.address.device, m.alias or m.name) for m in sent.payload.metrics}
            if sent.type in BIRTHS:
                born |= told
            assert told <= born
            if sent.type is not T.NBIRTH:
                assert "bdSeq" not in {metric.name for metric in sent.payload.metrics}


@claims(
    "operational-behavior-data-publish-nbirth-order",
    "operational-behavior-data-publish-dbirth-order",
)
def values_are_in_order_of_time(world: World) -> None:
    for sent in every(world, *BIRTHS, *DATA):
        times = [m.timestamp_ms or 0 for m in sent.payload.metrics if not m.is_historical]
        assert times == sorted(times)
    for run in runs(world):
        for device in (None, *DEVICES):
            live = [m.timestamp_ms or 0 for s in run if s.type in DATA
                    and s.address.device == device
                    for m in s.payload.metrics if not m.is_historical]  # fmt: skip
            assert live == sorted(live)


@claims("payloads-timestamp-in-UTC", "payloads-metric-timestamp-in-UTC")
def times_are_milliseconds_in_utc(world: World) -> None:
    for sent in every(world, *BIRTHS, *DATA):
        times = [sent.payload.timestamp_ms, *(m.timestamp_ms for m in sent.payload.metrics)]
        assert all(time is not None and abs(time - now_ms()) < DAY_MS for time in times)


@claims("payloads-name-birth-data-requirement")
def every_metric_has_a_timestamp(world: World) -> None:
    assert all(metric.HasField("timestamp") for metric in raw_metrics(world, *BIRTHS, *DATA))


@claims("payloads-name-requirement")
def without_aliases_every_metric_has_its_name(world: World) -> None:
    """G11: and its data type, which readers miss otherwise."""
    for sent in world.plain.sent(*DATA):
        for metric in raw(sent).metrics:
            assert metric.HasField("name")
            assert metric.HasField("datatype")
            assert not metric.HasField("alias")


@claims("payloads-alias-birth-requirement")
def with_aliases_a_birth_says_name_and_alias(world: World) -> None:
    for sent in world.compact.sent(*BIRTHS):
        for metric in raw(sent).metrics:
            assert metric.HasField("name")
            assert metric.HasField("alias") or metric.name == "Node Control/Rebirth"


@claims("payloads-alias-data-cmd-requirement")
def with_aliases_data_says_no_name(world: World) -> None:
    metrics = [metric for sent in world.compact.sent(*DATA) for metric in raw(sent).metrics]
    assert len(metrics) >= 18
    assert all(metric.HasField("alias") and not metric.HasField("name") for metric in metrics)


@claims("payloads-alias-uniqueness")
def aliases_are_unique_on_the_node(world: World) -> None:
    births = [m for s in world.compact.sent(*BIRTHS)[:3] for m in raw(s).metrics]
    aliases = [metric.alias for metric in births if metric.HasField("alias")]
    assert len(aliases) == len(set(aliases)) == len(births) - 1


@claims("payloads-metric-datatype-value-type", "payloads-metric-datatype-value")
def data_types_are_among_those_that_there_are(world: World) -> None:
    found = {metric.datatype for metric in raw_metrics(world, *BIRTHS)}
    assert found <= {int(each) for each in DataType}
    assert len(found) == 5


@claims("payloads-propertyset-keys-array-size", "payloads-propertyset-values-array-size")
def every_property_has_a_key_and_a_value(world: World) -> None:
    for metric in raw_metrics(world, *BIRTHS, *DATA):
        assert len(metric.properties.keys) == len(metric.properties.values)
        assert len(set(metric.properties.keys)) == len(metric.properties.keys)


@claims(
    "payloads-metric-propertyvalue-type-req", "payloads-metric-propertyvalue-type-type",
    "payloads-metric-propertyvalue-type-value",
)  # fmt: skip
def every_property_says_its_type(world: World) -> None:
    for metric in raw_metrics(world, *BIRTHS):
        for value in metric.properties.values:
            assert value.HasField("type")
            assert value.WhichOneof("value") == DataType(value.type).field


def qualities(world: World) -> list[Any]:
    """The quality of every metric that has one."""
    return [
        value
        for metric in raw_metrics(world, *BIRTHS, *DATA)
        for key, value in zip(metric.properties.keys, metric.properties.values, strict=True)
        if key == "Quality"
    ]


@claims("payloads-propertyset-quality-value-type")
def quality_is_an_int32(world: World) -> None:
    assert {value.type for value in qualities(world)} == {3}


@claims("payloads-propertyset-quality-value-value")
def quality_is_0_192_or_500(world: World) -> None:
    assert {value.int_value for value in qualities(world)} == {0, 192, 500}
    assert {value.WhichOneof("value") for value in qualities(world)} == {"int_value"}


VALID_ID = re.compile(r"[^+/#]+")


@claims("intro-group-id-string", "intro-group-id-chars", "topic-structure-namespace-valid-group-id")
def the_group_id_is_valid(world: World) -> None:
    assert all(VALID_ID.fullmatch(sent.address.group) for sent in every(world))


@claims(
    "intro-edge-node-id-string", "intro-edge-node-id-chars",
    "topic-structure-namespace-valid-edge-node-id",
)  # fmt: skip
def the_edge_node_id_is_valid(world: World) -> None:
    assert all(VALID_ID.fullmatch(sent.address.edge_node) for sent in every(world))


@claims(
    "intro-device-id-string", "intro-device-id-chars", "topic-structure-namespace-valid-device-id"
)
def device_ids_are_valid(world: World) -> None:
    assert all(VALID_ID.fullmatch(s.address.device or "") for s in every(world, T.DBIRTH))


@claims("topic-structure-namespace-unique-device-id", "case-sensitivity-sparkplug-ids")
def device_ids_are_not_alike(world: World) -> None:
    devices = {sent.address.device or "" for sent in every(world, T.DBIRTH)}
    assert len({device.casefold() for device in devices}) == len(devices) == len(DEVICES)


@claims("case-sensitivity-metric-names")
def metric_names_are_not_alike(world: World) -> None:
    found = set(names(world))
    assert len({(device, name.casefold()) for device, name in found}) == len(found)
