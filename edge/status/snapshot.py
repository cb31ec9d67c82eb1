"""What a running node tells whoever looks at it: one JSON object a line, at most 256 KiB."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.delivery.status import Health, NodeState

SCHEMA: Final = "urn:earpatch:schema:status:1"
SOCKET_NAME = "status.sock"  # in the node's state folder
MAX_LINE_BYTES = 262_144
LEVELS = 255  # steps between a picture's lowest and highest level
EVIDENCE_STEPS, UNKNOWN = 32, 255  # steps to the alarm level; a cell that isn't weighed yet

FloatArray = NDArray[np.float32]


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """The last seconds of sound, and how unusual they are: a byte a cell (base64 in JSON).

    Columns are in the order of time and a row of the map is one band of frequency, the lowest
    first; cell `i * rows + j` is row `j` of column `i`.
    """

    columns: int
    rows: int
    column_s: float
    row_edges_hz: list[float]  # [rows + 1]
    low_db: float  # the level of byte 0
    high_db: float  # the level of byte 255
    levels: bytes
    evidence: bytes  # in 1/32 of the alarm level, at most 254; 255 is not known yet

    def levels_db(self) -> FloatArray:
        """Log-mel levels, [columns, rows]."""
        step_db = (self.high_db - self.low_db) / LEVELS
        return np.asarray(self.low_db + step_db * self._cells(self.levels), np.float32)

    def evidence_map(self) -> FloatArray:
        """Evidence, [columns, rows]; 1 is the alarm level, NaN what is not known yet."""
        cells = self._cells(self.evidence).astype(np.float32)
        return np.where(cells == UNKNOWN, np.float32(np.nan), cells / np.float32(EVIDENCE_STEPS))

    def _cells(self, data: bytes) -> NDArray[np.uint8]:
        return np.frombuffer(data, np.uint8).reshape(self.columns, self.rows)


class InputView(msgspec.Struct, frozen=True, kw_only=True):
    """What one input hears."""

    name: str
    score: float | None  # the largest evidence of the last second that was weighed
    picture: Picture | None


class LastEvent(msgspec.Struct, frozen=True):
    """One event, as the log has it."""

    id: str
    time: datetime
    text: str


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="snapshot"):
    """A node at one moment."""

    schema: str
    broker: str  # its address
    broker_trouble: str | None  # why nothing, or not everything, is delivered
    health: Health
    state: NodeState
    inputs: list[InputView]
    events: list[LastEvent]  # the newest first


class Refused(msgspec.Struct, frozen=True, tag_field="type", tag="refused"):
    """Why somebody who looks isn't told anything."""

    reason: str


def encoded(snapshot: Snapshot) -> bytes:
    """One line; without its pictures if it would be too long with them."""
    line = msgspec.json.encode(snapshot) + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    replace = msgspec.structs.replace
    bare = replace(snapshot, inputs=[replace(each, picture=None) for each in snapshot.inputs])
    line = msgspec.json.encode(bare) + b"\n"
    if len(line) <= MAX_LINE_BYTES:
        return line
    return msgspec.json.encode(Refused("what there is to tell is too long for one line")) + b"\n"
