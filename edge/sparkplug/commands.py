"""What hosts write: NCMD and DCMD become rebirths, and the commands of the JSON contract.

So `[commands] allow` holds for both ways, and what was done is answered and logged on both.
"""

from __future__ import annotations

import logging
import math
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edge.delivery.quiet_log import QuietLog
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
LONGEST, MOST_METRICS = 16_384, 500  # bytes and metrics of one message
LINES = 5  # about mistakes, in five minutes
TOLD = 80  # characters of what somebody else has written, in a line of the log


class Asked(NamedTuple):
    """A command of the JSON contract: its name, and its payload."""

    name: str
    payload: bytes


class CommandReader:
    """Reads NCMD and DCMD of one edge node; nothing that they hold can end it."""

    def __init__(self, state: EdgeNodeState) -> None:
        self._state = state
        self._numbers, self._complaints = count(1), QuietLog(log, burst=LINES)
        self.devices: dict[str, str] = {}  # by the id of a command; of the latest ones

    def read(self, topic: str, data: bytes) -> list[Asked]:
        """What a message asks for. A rebirth is told to the state at once."""
        address = parse(topic)
        if address is None or address.type not in {MessageType.NCMD, MessageType.DCMD}:
            return []
        try:
            metrics = decode(data, LONGEST).metrics
        except PayloadError as error:
            self._complain("payload", f"{topic[:TOLD]}: {error}")
            return []
        asked = [self._metric(address.device, each) for each in metrics[:MOST_METRICS]]
        return [each for each in asked if each is not None]

    def _metric(self, device: str | None, told: Told) -> Asked | None:
        name = self._state.metric_name(device, told.name, told.alias)
        if device is None and name == REBIRTH:
            if told.value is True:
                self._state.rebirth()
            return None
        fields = _fields(name, told.value) if device is not None and name in NAMES else None
        if device is None or name is None or fields is None:
            what = repr(told.name[:TOLD]) if told.name is not None else f"alias {told.alias}"
            where = "the node" if device is None else device[:TOLD]
            self._complain("value", f"{where}: {what} can't be written as {_short(told.value)}")
            return None
        id_ = f"{ID_PREFIX}{next(self._numbers)}"
        self.devices[id_] = device
        if len(self.devices) > MOST_REMEMBERED:
            self.devices.pop(next(iter(self.devices)))
        body = {"id": id_, "input": device, "by": BY, **fields}
        return Asked(NAMES[name], msgspec.json.encode(body))

    def _complain(self, kind: str, text: str) -> None:
        """A few times: whoever may write may write often."""
        self._complaints.warn(kind, printable(text))


def _short(value: Value) -> str:
    """A value for the log; of a text, a data set or a template no more than its beginning."""
    return repr(value[:TOLD] if isinstance(value, str | bytes) else value)[:TOLD]


def _fields(name: str, value: Value) -> dict[str, float] | None:
    """What else the command says; None for a value that commands nothing."""
    if name == SHELVE:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        # JSON has no NaN: `for_s` would be null there, which is the longest time that there is.
        return {"for_s": float(value)} if math.isfinite(value) else None
    return {} if value is True else None
