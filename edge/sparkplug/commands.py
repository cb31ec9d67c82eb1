"""What hosts write: NCMD and DCMD become rebirths, and the commands of the JSON contract.

So `[commands] allow` holds for both ways, and what was done is answered and logged on both.
"""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edge.sparkplug.catalogue import ACKNOWLEDGE, RECALIBRATE, SHELVE, UNSHELVE
from edge.sparkplug.metrics import REBIRTH
from edge.sparkplug.payload import PayloadError, decode
from edge.sparkplug.topics import MessageType, parse
from edge.words import printable

if TYPE_CHECKING:
    from edge.sparkplug.datatypes import Value
    from edge.sparkplug.payload import Told
    from edge.sparkplug.state import EdgeNodeState

log = logging.getLogger(__name__)

NAMES = {
    ACKNOWLEDGE: "acknowledge",
    SHELVE: "shelve",
    UNSHELVE: "unshelve",
    RECALIBRATE: "calibrate",
}
BY = "Sparkplug host"
ID_PREFIX = "sparkplug-"
MOST_REMEMBERED = 1_000  # commands that may still be answered


class Asked(NamedTuple):
    """A command of the JSON contract: its name, and its payload."""

    name: str
    payload: bytes


class CommandReader:
    """Reads NCMD and DCMD of one edge node; nothing that they hold can end it."""

    def __init__(self, state: EdgeNodeState) -> None:
        self._state = state
        self._numbers = count(1)
        self.devices: dict[str, str] = {}  # by the id of a command; of the latest ones

    def read(self, topic: str, data: bytes) -> list[Asked]:
        """What a message asks for. A rebirth is told to the state at once."""
        address = parse(topic)
        if address is None or address.type not in {MessageType.NCMD, MessageType.DCMD}:
            return []
        try:
            metrics = decode(data).metrics
        except PayloadError as error:
            log.warning("%s: %s", printable(topic), printable(str(error)))
            return []
        asked = [self._metric(address.device, each) for each in metrics]
        return [each for each in asked if each is not None]

    def _metric(self, device: str | None, told: Told) -> Asked | None:
        name = self._state.metric_name(device, told.name, told.alias)
        if device is None and name == REBIRTH:
            if told.value is True:
                self._state.rebirth()
            return None
        fields = _fields(name, told.value) if device is not None and name in NAMES else None
        if device is None or name is None or fields is None:
            what = told.name if told.name is not None else f"alias {told.alias}"
            where = "the node" if device is None else device
            log.warning("%s: %r can't be written as %r", printable(where), what, told.value)
            return None
        id_ = f"{ID_PREFIX}{next(self._numbers)}"
        self.devices[id_] = device
        if len(self.devices) > MOST_REMEMBERED:
            self.devices.pop(next(iter(self.devices)))
        body = {"id": id_, "input": device, "by": BY, **fields}
        return Asked(NAMES[name], msgspec.json.encode(body))


def _fields(name: str, value: Value) -> dict[str, float] | None:
    """What else the command says; None for a value that commands nothing."""
    if name == SHELVE:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {"for_s": float(value)} if is_number and value is not None else None
    return {} if value is True else None
