"""Golden windows on disk: `golden.bin`, integers after a head of fixed length, little-endian.

    8 bytes            "EARPGLD1"
    7 x uint32         windows, frames, bands, columns, rows, dimension, scored rows
    int8   [windows, frames, bands]             what the backbone gets
    int8   [windows, columns, rows, dimension]  what it made of it
    int32  [windows, columns, scored rows]      squared distance of each cell to the bank
    int32  [windows, columns, scored rows]      the row of the bank that is nearest

Nothing follows. The last window is disturbed, the others are normal. Of every byte it is known
beforehand what it is, so there is nothing to be parsed.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]
    Int32Array = NDArray[np.int32]

MAGIC = b"EARPGLD1"
HEAD = struct.Struct("<8s7I")
FEWEST_WINDOWS, MOST_WINDOWS = 2, 64
MOST_BYTES = 16 * 2**20


@dataclass(frozen=True)
class GoldenWindows:
    """Windows with what calibration's runtime made of them."""

    inputs: Int8Array  # [windows, frames, bands]
    embeddings: Int8Array  # [windows, columns, rows, dimension]
    squared: Int32Array  # [windows, columns, scored rows]
    nearest: Int32Array  # [windows, columns, scored rows]

    def __post_init__(self) -> None:
        windows, _, _ = self.inputs.shape
        count, columns, rows, _ = self.embeddings.shape
        cells = self.squared.shape
        if not (windows == count and cells == self.nearest.shape and cells[:2] == (windows, columns)
                and cells[2] <= rows):  # fmt: skip
            raise ValueError("golden windows whose arrays don't fit together")

    @property
    def shape(self) -> tuple[int, ...]:
        """The numbers of the file's head."""
        return (*self.inputs.shape, *self.embeddings.shape[1:], self.squared.shape[2])


def encode_golden(golden: GoldenWindows) -> bytes:
    """The file's content."""
    arrays = (golden.inputs, golden.embeddings, golden.squared, golden.nearest)
    kinds = ("i1", "i1", "<i4", "<i4")
    body = [np.asarray(a, kind).tobytes() for a, kind in zip(arrays, kinds, strict=True)]
    return b"".join([HEAD.pack(MAGIC, *golden.shape), *body])


def decode_golden(data: bytes) -> GoldenWindows:
    """What the file holds.

    Raises:
        BundleError: not such a file, or not as long as its head says.
    """
    if len(data) < HEAD.size or not data.startswith(MAGIC):
        raise BundleError("not a file of golden windows")
    _, *numbers = HEAD.unpack_from(data)
    windows, frames, bands, columns, rows, dimension, scored = numbers
    if not FEWEST_WINDOWS <= windows <= MOST_WINDOWS or min(numbers) < 1 or scored > rows:
        raise BundleError("golden windows of an impossible shape")
    cells = (windows, columns, scored)
    layout: list[tuple[str, tuple[int, ...]]] = [
        ("i1", (windows, frames, bands)),
        ("i1", (windows, columns, rows, dimension)),
        ("<i4", cells),
        ("<i4", cells),
    ]
    size = sum(int(kind[-1]) * math.prod(shape) for kind, shape in layout)
    if size != len(data) - HEAD.size or size > MOST_BYTES:
        raise BundleError(f"golden windows of {len(data)} bytes where {HEAD.size + size} belong")
    arrays: list[NDArray[Any]] = []
    at = HEAD.size
    for kind, shape in layout:
        flat = np.frombuffer(data, kind, math.prod(shape), at)
        arrays.append(flat.reshape(shape).astype(kind.lstrip("<")))
        at += flat.nbytes
    return GoldenWindows(*arrays)
