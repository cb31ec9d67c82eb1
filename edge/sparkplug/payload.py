"""Payloads to bytes and back, through the official protobuf runtime.

A DATA metric carries its name and data type too, although the specification would rather leave the
type out: three of three independent readers that were tried can't read a value without it. Where a
metric has an alias (`compact`), DATA carries the alias alone, as the specification demands.
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.message import DecodeError

from edge.sparkplug.datatypes import DataType, Value, fits, from_wire, to_wire
from edge.sparkplug.metrics import Metric, Quality
from edge.sparkplug.sparkplug_b_pb2 import Metric as WireMetric
from edge.sparkplug.sparkplug_b_pb2 import Payload as WirePayload
from edge.sparkplug.sparkplug_b_pb2 import PropertySet
from edge.sparkplug.topics import MessageType

MAX_BYTES = 262_144  # of what is read
QUALITY = "Quality"


class PayloadError(ValueError):
    """Bytes that are no Sparkplug payload."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message on its way out."""

    type: MessageType
    device: str | None
    metrics: tuple[Metric, ...]
    seq: int | None  # None: NDEATH has none
    timestamp_ms: int


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A metric as it was read. What was not there is None."""

    name: str | None
    alias: int | None
    datatype: DataType | None  # None: not said, or none that is known here
    value: Value
    timestamp_ms: int | None
    is_historical: bool
    is_null: bool
    properties: dict[str, Value]


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """A payload as it was read."""

    timestamp_ms: int | None
    seq: int | None
    metrics: list[Told]


def encode(message: Message) -> bytes:
    """The bytes of a message.

    Raises:
        ValueError: a value doesn't fit its data type.
    """
    wire = WirePayload(timestamp=message.timestamp_ms)
    if message.seq is not None:
        wire.seq = message.seq
    for metric in message.metrics:
        _fill(wire.metrics.add(), metric, birth=message.type.is_birth)
    return bytes(wire.SerializeToString())


def decode(data: bytes, most_bytes: int = MAX_BYTES) -> Payload:
    """Read a payload.

    Raises:
        PayloadError: damaged, too long, or no payload at all.
    """
    if len(data) > most_bytes:
        raise PayloadError(f"{len(data)} bytes; at most {most_bytes} are read")
    wire = WirePayload()
    try:
        wire.ParseFromString(data)
        metrics = [_told(each) for each in wire.metrics]
    except (DecodeError, ValueError) as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from None
    return Payload(
        timestamp_ms=wire.timestamp if wire.HasField("timestamp") else None,
        seq=wire.seq if wire.HasField("seq") else None,
        metrics=metrics,
    )


def _fill(wire: WireMetric, metric: Metric, *, birth: bool) -> None:
    definition, value = metric.definition, metric.reading.value
    if not fits(definition.datatype, value):
        raise ValueError(f"{definition.name}: {value!r} is no {definition.datatype.name}")
    if metric.alias is not None:
        wire.alias = metric.alias
    if birth or metric.alias is None:
        wire.name, wire.datatype = definition.name, int(definition.datatype)
    wire.timestamp = metric.timestamp_ms
    if metric.is_historical:
        wire.is_historical = True
    if value is None or isinstance(value, bytes):
        wire.is_null = True
    else:
        setattr(wire, definition.datatype.field, to_wire(definition.datatype, value))
    if birth:
        _describe(wire.properties, metric)
    if birth or metric.reading.quality is not Quality.GOOD:
        _add(wire.properties, QUALITY, DataType.INT32, int(metric.reading.quality))


def _describe(wire: PropertySet, metric: Metric) -> None:
    definition = metric.definition
    if definition.unit:
        _add(wire, "engUnit", DataType.STRING, definition.unit)
    if definition.low is not None:
        _add(wire, "engLow", DataType.DOUBLE, definition.low)
    if definition.high is not None:
        _add(wire, "engHigh", DataType.DOUBLE, definition.high)
    if definition.documentation:
        _add(wire, "documentation", DataType.STRING, definition.documentation)
    _add(wire, "readOnly", DataType.BOOLEAN, not definition.writable)


def _add(wire: PropertySet, key: str, datatype: DataType, value: bool | float | str) -> None:
    wire.keys.append(key)
    entry = wire.values.add(type=int(datatype))
    setattr(entry, datatype.field, to_wire(datatype, value))


def _told(wire: WireMetric) -> Told:
    datatype = _known(wire.datatype) if wire.HasField("datatype") else None
    values = zip(wire.properties.keys, wire.properties.values, strict=True)
    return Told(
        name=wire.name if wire.HasField("name") else None,
        alias=wire.alias if wire.HasField("alias") else None,
        datatype=datatype,
        value=_value(wire, datatype),
        timestamp_ms=wire.timestamp if wire.HasField("timestamp") else None,
        is_historical=wire.is_historical,
        is_null=wire.is_null,
        properties={key: _value(entry, _known(entry.type)) for key, entry in values},
    )


def _known(code: int) -> DataType | None:
    try:
        return DataType(code)
    except ValueError:
        return None


def _value(wire: Any, datatype: DataType | None) -> Value:
    field = wire.WhichOneof("value")
    if field is None or wire.is_null:
        return None
    raw: Value = getattr(wire, field)
    return raw if datatype is None else from_wire(datatype, field, raw)
