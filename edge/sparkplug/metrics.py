"""What is told of a metric: its definition once, at birth; then its value, time and quality."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

from edge.sparkplug.datatypes import DataType, Value

BD_SEQ = "bdSeq"
REBIRTH = "Node Control/Rebirth"


class Quality(IntEnum):
    """How far a value can be trusted; the only three codes that there are."""

    BAD = 0  # not what it says it is
    GOOD = 192
    STALE = 500  # the last one known


class Deadband(NamedTuple):
    """How much a number must change to be told again; with nothing set, every change is told."""

    absolute: float = 0.0
    share: float = 0.0  # of the value told last
    limit: float | None = None  # a value that goes across it is told always

    def exceeded(self, told: float, now: float) -> bool:
        """Whether a change is worth telling."""
        if told == now:
            return False
        if self.limit is not None and (told < self.limit) != (now < self.limit):
            return True
        return abs(now - told) >= max(self.absolute, self.share * abs(told))


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A metric, apart from its value. Properties are named as Ignition names those of its tags."""

    name: str
    datatype: DataType
    unit: str = ""
    low: float | None = None  # of the range that a display should show
    high: float | None = None
    documentation: str = ""
    writable: bool = False
    initial: Value = None  # until there is one
    deadband: Deadband = Deadband()
    event: bool = False  # told when it happens, not when it differs; never given up for others


class Reading(NamedTuple):
    """A value as it is now."""

    value: Value
    quality: Quality = Quality.GOOD


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One value of one metric on its way out."""

    definition: Definition
    reading: Reading
    timestamp_ms: int
    is_historical: bool = False
    alias: int | None = None
