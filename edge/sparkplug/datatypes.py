"""Sparkplug's data types, and how Python's values become wire values and come back.

Signed types travel in unsigned fields as two's complement (specification 3.0, "Data Types").
"""

from __future__ import annotations

import sys
from enum import IntEnum

Value = bool | int | float | str | bytes | None


class DataType(IntEnum):
    """The basic data types, by their code."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13  # milliseconds since 1970, UTC
    TEXT = 14
    UUID = 15

    @property
    def field(self) -> str:
        """The field of the payload that holds its values."""
        return _FIELDS[self]

    @property
    def bits(self) -> int | None:
        """Of an integer type; None for others."""
        return _BITS.get(self)

    @property
    def signed(self) -> bool:
        """Whether it has negative values."""
        return self in _SIGNED or self in {DataType.FLOAT, DataType.DOUBLE}


_INT, _LONG, _STRING = "int_value", "long_value", "string_value"
_FIELDS = {
    DataType.INT8: _INT, DataType.INT16: _INT, DataType.INT32: _INT, DataType.INT64: _LONG,
    DataType.UINT8: _INT, DataType.UINT16: _INT, DataType.UINT32: _INT, DataType.UINT64: _LONG,
    DataType.FLOAT: "float_value", DataType.DOUBLE: "double_value",
    DataType.BOOLEAN: "boolean_value", DataType.STRING: _STRING, DataType.DATETIME: _LONG,
    DataType.TEXT: _STRING, DataType.UUID: _STRING,
}  # fmt: skip
_BITS = {
    DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64,
    DataType.UINT8: 8, DataType.UINT16: 16, DataType.UINT32: 32, DataType.UINT64: 64,
    DataType.DATETIME: 64,
}  # fmt: skip
_SIGNED = {DataType.INT8, DataType.INT16, DataType.INT32, DataType.INT64}
_LARGEST = {DataType.FLOAT: 3.4028234663852886e38, DataType.DOUBLE: sys.float_info.max}
_FIELD_BITS = {_INT: 32, _LONG: 64}


def fits(datatype: DataType, value: Value) -> bool:
    """Whether a value can be told as this type; None always can, as null."""
    if value is None:
        return True
    if datatype is DataType.BOOLEAN:
        return isinstance(value, bool)
    if (bits := datatype.bits) is not None:
        low, high = (-(1 << bits - 1), 1 << bits - 1) if datatype.signed else (0, 1 << bits)
        return isinstance(value, int) and not isinstance(value, bool) and low <= value < high
    if (largest := _LARGEST.get(datatype)) is not None:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and -largest <= float(value) <= largest  # neither NaN nor infinity
    return isinstance(value, str) and not any("\ud800" <= letter < "\ue000" for letter in value)


def to_wire(datatype: DataType, value: bool | float | str) -> bool | int | float | str:
    """A value as its field holds it."""
    width = _FIELD_BITS.get(datatype.field)
    return int(value) % (1 << width) if width else value


def from_wire(datatype: DataType, field: str, raw: Value) -> Value:
    """A value out of a field. Writers may fill 32 bits or 64, whatever the type's own size.

    Raises:
        ValueError: that field doesn't hold values of this type.
    """
    width = _FIELD_BITS.get(field)
    if (bits := datatype.bits) is not None and width and isinstance(raw, int):
        return _wrapped(raw, bits, signed=datatype.signed)
    if datatype in {DataType.FLOAT, DataType.DOUBLE} and isinstance(raw, int | float):
        return float(raw)
    if field != datatype.field:
        raise ValueError(f"{field} in a metric of type {datatype.name}")
    return raw


def _wrapped(raw: int, bits: int, *, signed: bool) -> int:
    low = raw % (1 << bits)
    return low - (1 << bits) if signed and low >> (bits - 1) else low
