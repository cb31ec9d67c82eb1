"""The values of the node or of one device: which of them are worth telling (report by exception).

A change is told when it leaves the metric's deadband around the value told last. Numbers with a
deadband are told at most once in `every_s`; states, counters and texts at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from edge.sparkplug.datatypes import fits
from edge.sparkplug.metrics import Deadband, Definition, Quality, Reading

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NO_DEADBAND = Deadband()


class Change(NamedTuple):
    """A value that is worth telling."""

    at_s: float  # when it was so
    definition: Definition
    reading: Reading


class DeviceUpdate(NamedTuple):
    """A device as of now."""

    present: bool  # whether its microphone is there
    readings: Mapping[str, Reading]


class Values:
    """What is known, and what was told of it.

    Args:
        definitions: every metric that there will ever be, in the order of a birth.
        every_s: shortest time between two reports of a number with a deadband.
    """

    def __init__(self, definitions: Iterable[Definition], every_s: float) -> None:
        self.definitions = {each.name: each for each in definitions}
        self._every_s = every_s
        self._known: dict[str, Change] = {}
        self._told: dict[str, Change] = {}

    def update(self, readings: Mapping[str, Reading], at_s: float) -> list[Change]:
        """Values as of now; returns those that are worth telling, which count as told.

        Raises:
            KeyError: a metric that was not defined.
        """
        changes = []
        for name, reading in readings.items():
            change = _change(at_s, self.definitions[name], reading)
            self._known[name] = change
            if self._is_worth(change):
                self._told[name] = change
                changes.append(change)
        return changes

    def happened(self, readings: Mapping[str, Reading], at_s: float) -> list[Change]:
        """Values of something that happened: told whether or not they differ."""
        changes = [_change(at_s, self.definitions[name], r) for name, r in readings.items()]
        for change in changes:
            self._known[change.definition.name] = self._told[change.definition.name] = change
        return changes

    def all(self, now_s: float) -> list[Change]:
        """Every metric, in order of time, as a birth tells it; they count as told."""
        everything = []
        for name, definition in self.definitions.items():
            change = self._known.get(name) or Change(now_s, definition, Reading(definition.initial))
            self._told[name] = change
            everything.append(change)
        return sorted(everything, key=lambda change: change.at_s)

    def _is_worth(self, now: Change) -> bool:
        told = self._told.get(now.definition.name)
        if told is None:
            return True
        before, after = told.reading, now.reading
        if before == after:
            return False
        deadband = now.definition.deadband
        numbers = _number(before.value), _number(after.value)
        if before.quality != after.quality or None in numbers or deadband == NO_DEADBAND:
            return True
        was, is_now = numbers
        if was is None or is_now is None or not deadband.exceeded(was, is_now):
            return False
        crossed = deadband.limit is not None and (was < deadband.limit) != (is_now < deadband.limit)
        return crossed or now.at_s - told.at_s >= self._every_s


def _change(at_s: float, definition: Definition, reading: Reading) -> Change:
    """What can't be told as the metric's type is told as nothing, rather than end the session."""
    if not fits(definition.datatype, reading.value):
        reading = Reading(None, Quality.BAD)
    return Change(at_s, definition, reading)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)
