"""The generated module is that of the definition, and its numbers are the specification's."""

from __future__ import annotations

import re
from pathlib import Path

from edge.sparkplug import sparkplug_b_pb2 as wire

FIELD = re.compile(r"^\s*(?:optional |repeated )?\w+ (\w+) = (\d+);", re.MULTILINE)
PROTO = Path(wire.__file__).with_name("sparkplug_b.proto").read_text(encoding="utf-8")
# Sparkplug 3.0.0, "Google Protocol Buffer Schema"
PAYLOAD = {"timestamp": 1, "metrics": 2, "seq": 3}
METRIC = {
    "name": 1, "alias": 2, "timestamp": 3, "datatype": 4, "is_historical": 5, "is_transient": 6,
    "is_null": 7, "properties": 9, "int_value": 10, "long_value": 11, "float_value": 12,
    "double_value": 13, "boolean_value": 14, "string_value": 15, "bytes_value": 16,
}  # fmt: skip
PROPERTY_SET = {"keys": 1, "values": 2}
PROPERTY_VALUE = {
    "type": 1, "is_null": 2, "int_value": 3, "long_value": 4, "float_value": 5,
    "double_value": 6, "boolean_value": 7, "string_value": 8,
}  # fmt: skip


def numbers(message: object) -> dict[str, int]:
    """Of the generated module."""
    fields = message.DESCRIPTOR.fields  # type: ignore[attr-defined]
    return {field.name: field.number for field in fields}


def test_the_module_has_the_numbers_of_the_specification() -> None:
    assert numbers(wire.Payload) == PAYLOAD
    assert numbers(wire.Metric) == METRIC
    assert numbers(wire.PropertySet) == PROPERTY_SET
    assert numbers(wire.PropertyValue) == PROPERTY_VALUE


def test_the_definition_has_the_same() -> None:
    parts = re.split(r"^message (\w+) \{$", PROTO, flags=re.MULTILINE)[1:]
    found = {
        name: {field: int(number) for field, number in FIELD.findall(body)}
        for name, body in zip(parts[::2], parts[1::2], strict=True)
    }
    assert found == {
        "Payload": PAYLOAD, "Metric": METRIC, "PropertySet": PROPERTY_SET,
        "PropertyValue": PROPERTY_VALUE,
    }  # fmt: skip
