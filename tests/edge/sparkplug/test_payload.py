"""Payloads: every value comes back as it was, and nothing that comes in can hurt."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sparkplug.datatypes import DataType, Value, fits, from_wire
from edge.sparkplug.metrics import Definition, Metric, Quality, Reading
from edge.sparkplug.payload import MAX_BYTES, Message, PayloadError, decode, encode
from edge.sparkplug.sparkplug_b_pb2 import Payload as WirePayload
from edge.sparkplug.topics import MessageType

LETTERS = "aZ /\x00\n\u00e4\u20ac\U0001f3a4"
TEXTS = {DataType.STRING, DataType.TEXT, DataType.UUID}


def values(datatype: DataType) -> st.SearchStrategy[Value]:
    """Everything that a type can hold."""
    if (bits := datatype.bits) is not None:
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if datatype.signed else (0, 2**bits - 1)
        return st.integers(low, high)
    if datatype is DataType.BOOLEAN:
        return st.booleans()
    if datatype in TEXTS:
        return st.text(LETTERS, max_size=80)
    if datatype is DataType.FLOAT:
        return st.floats(allow_nan=False, allow_infinity=False, width=32)
    return st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def metrics(draw: st.DrawFn) -> Metric:
    datatype = draw(st.sampled_from(DataType))
    definition = Definition(
        name=draw(st.text(LETTERS, min_size=1, max_size=40)),
        datatype=datatype,
        unit=draw(st.sampled_from(["", "dBFS"])),
        low=draw(st.sampled_from([None, -120.0])),
    )
    value = draw(st.none() | values(datatype))
    return Metric(
        definition=definition,
        reading=Reading(value, draw(st.sampled_from(Quality))),
        timestamp_ms=draw(st.integers(0, 2**53)),
        is_historical=draw(st.booleans()),
    )


def message(*of: Metric, type_: MessageType = MessageType.DDATA, seq: int | None = 7) -> Message:
    return Message(type=type_, device="gearbox", metrics=of, seq=seq, timestamp_ms=1_000)


@settings(deadline=None)
@given(st.lists(metrics(), max_size=5), st.integers(0, 255), st.sampled_from(MessageType))
def test_what_is_encoded_is_decoded(found: list[Metric], seq: int, type_: MessageType) -> None:
    payload = decode(encode(message(*found, type_=type_, seq=seq)))
    assert (payload.seq, payload.timestamp_ms) == (seq, 1_000)
    for told, metric in zip(payload.metrics, found, strict=True):
        value = metric.reading.value
        assert (told.name, told.datatype) == (metric.definition.name, metric.definition.datatype)
        assert (told.value, told.is_null) == (value, value is None)
        assert type(told.value) is type(value)
        assert (told.timestamp_ms, told.is_historical) == (
            metric.timestamp_ms, metric.is_historical,
        )  # fmt: skip
        quality = told.properties.get("Quality", Quality.GOOD)
        assert quality == metric.reading.quality


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_payload_or_an_error_of_ours(data: bytes) -> None:
    try:
        decode(data)
    except PayloadError as error:
        assert str(error)  # noqa: PT017  (either is right)


def test_a_flood_is_not_even_parsed() -> None:
    with pytest.raises(PayloadError, match="at most"):
        decode(bytes(MAX_BYTES + 1))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "1", True])
def test_what_is_no_finite_number_can_not_be_told_as_one(value: Value) -> None:
    definition = Definition(name="Score", datatype=DataType.DOUBLE)
    metric = Metric(definition=definition, reading=Reading(value), timestamp_ms=0)
    with pytest.raises(ValueError, match="Score"):
        encode(message(metric))


@pytest.mark.parametrize(
    ("datatype", "field", "raw", "value"),
    [
        (DataType.INT8, "int_value", 0xFF, -1),
        (DataType.INT8, "int_value", 0xFFFF_FFFF, -1),  # sign-extended to 32 bits
        (DataType.INT16, "int_value", 0x8000, -32_768),
        (DataType.INT64, "long_value", 2**64 - 1, -1),
        (DataType.INT32, "long_value", 2**64 - 5, -5),
        (DataType.UINT32, "long_value", 7, 7),  # as some writers do
        (DataType.DOUBLE, "float_value", 0.5, 0.5),
        (DataType.DOUBLE, "int_value", 600, 600.0),  # a host that writes a whole number
    ],
)
def test_signs_and_widths_are_read_as_writers_mean_them(
    datatype: DataType, field: str, raw: Value, value: Value
) -> None:
    assert from_wire(datatype, field, raw) == value


def test_a_text_in_a_number_is_an_error() -> None:
    wire = WirePayload()
    wire.metrics.add(name="Score", datatype=int(DataType.DOUBLE), string_value="loud")
    with pytest.raises(PayloadError, match="DOUBLE"):
        decode(wire.SerializeToString())


def test_properties_without_their_values_are_an_error() -> None:
    wire = WirePayload()
    wire.metrics.add(name="Score", double_value=1.0).properties.keys.append("engUnit")
    with pytest.raises(PayloadError, match="not a Sparkplug payload"):
        decode(wire.SerializeToString())


def test_a_type_that_is_not_known_here_is_no_error() -> None:
    """Data sets and templates are skipped, not refused: they may stand beside a command."""
    wire = WirePayload(seq=1)
    wire.metrics.add(name="Table", datatype=16)
    wire.metrics.add(name="Score", datatype=10, double_value=1.0)
    table, score = decode(wire.SerializeToString()).metrics
    assert (table.datatype, table.value, score.value) == (None, None, 1.0)


def test_a_birth_describes_its_metrics_and_data_does_not() -> None:
    definition = Definition(
        name="Input/Level", datatype=DataType.DOUBLE, unit="dBFS", low=-120.0, high=0.0,
        documentation="RMS",
    )  # fmt: skip
    metric = Metric(definition=definition, reading=Reading(-41.2), timestamp_ms=0)
    (born,) = decode(encode(message(metric, type_=MessageType.DBIRTH))).metrics
    assert born.properties == {
        "engUnit": "dBFS", "engLow": -120.0, "engHigh": 0.0, "documentation": "RMS",
        "readOnly": True, "Quality": 192,
    }  # fmt: skip
    (told,) = decode(encode(message(metric))).metrics
    assert told.properties == {}


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
def test_data_says_the_quality_when_it_is_not_good(quality: Quality) -> None:
    definition = Definition(name="Score", datatype=DataType.DOUBLE)
    metric = Metric(definition=definition, reading=Reading(0.3, quality), timestamp_ms=0)
    (told,) = decode(encode(message(metric))).metrics
    assert told.properties == {"Quality": int(quality)}


@settings(deadline=None)
@given(st.sampled_from(DataType), st.none() | st.booleans() | st.integers() | st.text())
def test_what_fits_can_be_encoded(datatype: DataType, value: Value) -> None:
    definition = Definition(name="x", datatype=datatype)
    metric = Metric(definition=definition, reading=Reading(value), timestamp_ms=0)
    if not fits(datatype, value):
        with pytest.raises(ValueError, match="is no"):
            encode(message(metric))
    else:
        encode(message(metric))
