"""A clip's files in chunks that a broker takes, and chunks as files again.

Each chunk says which file it is of, and which part; one that comes twice or out of order does no
harm. Base64 makes the data a third longer, and `max_chunk_bytes` is what it may have then: the
message around it has some 300 bytes more.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from edge.clips.names import PICTURE, SOUND
from edge.errors import SnapshotError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MAX_CHUNK_BYTES, MAX_TOTAL_BYTES = 65_536, 2 << 20
SMALLEST_CHUNK_BYTES = 1_024
MEDIA_TYPES = {SOUND: "audio/flac", PICTURE: "image/png"}

FileName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._-]*\Z", max_length=255)]
Count = Annotated[int, Meta(ge=1, le=1 << 16)]


class Chunk(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A part of a file. `total_bytes` and `sha256` are those of the whole file."""

    name: FileName
    media_type: str
    index: Annotated[int, Meta(ge=0, lt=1 << 16)]  # of `count`, in the order of the file
    count: Count
    total_bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    data_base64: str


class WholeFile(msgspec.Struct, frozen=True):
    """What chunks become."""

    name: str
    media_type: str
    data: bytes


def chunks(
    path: Path, max_chunk_bytes: int = MAX_CHUNK_BYTES, max_total_bytes: int = MAX_TOTAL_BYTES
) -> list[Chunk]:
    """The sound of a clip and the picture beside it, if there is one.

    Args:
        path: of the sound.
        max_chunk_bytes: of the base64 text of one chunk; at least 1,024.
        max_total_bytes: of both files together.

    Raises:
        SnapshotError: the clip isn't there, can't be read, or is larger than that.
    """
    if max_chunk_bytes < SMALLEST_CHUNK_BYTES:
        raise SnapshotError(
            f"chunks of {max_chunk_bytes} bytes are too small; at least {SMALLEST_CHUNK_BYTES}"
        )
    files = [path]
    if path.with_suffix(PICTURE).is_file():
        files.append(path.with_suffix(PICTURE))
    found: list[Chunk] = []
    left = max_total_bytes
    for file in files:
        data = _read(file, left, max_total_bytes)
        left -= len(data)
        found += _split(file, data, max_chunk_bytes // 4 * 3)
    return found


def join(parts: Iterable[Chunk]) -> list[WholeFile]:
    """Chunks, in any order and of several files, as files again.

    Raises:
        SnapshotError: one is missing, they contradict each other, or the data is not what was sent.
    """
    by_name: dict[str, list[Chunk]] = {}
    for part in parts:
        by_name.setdefault(part.name, []).append(part)
    return [_join_one(of_one) for of_one in by_name.values()]


def _split(path: Path, data: bytes, size: int) -> list[Chunk]:
    count = max(1, -(-len(data) // size))
    digest = hashlib.sha256(data).hexdigest()
    media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
    return [
        Chunk(
            name=path.name,
            media_type=media_type,
            index=index,
            count=count,
            total_bytes=len(data),
            sha256=digest,
            data_base64=base64.b64encode(data[index * size : (index + 1) * size]).decode(),
        )
        for index in range(count)
    ]


def _join_one(parts: list[Chunk]) -> WholeFile:
    first = parts[0]
    same = ("count", "total_bytes", "sha256", "media_type")
    if any(getattr(part, key) != getattr(first, key) for part in parts for key in same):
        raise SnapshotError(f"{first.name}: these are chunks of different files")
    by_index = {part.index: part.data_base64 for part in parts}
    missing = sorted(set(range(first.count)) - set(by_index))
    if missing or len(by_index) > first.count:
        which = f"chunk {missing[0]} is" if missing else "an index is not"
        raise SnapshotError(f"{first.name}: {which} among the {first.count}, or too many came")
    try:
        decoded = [base64.b64decode(by_index[i], validate=True) for i in range(first.count)]
    except (binascii.Error, ValueError):
        raise SnapshotError(f"{first.name}: a chunk is not base64") from None
    data = b"".join(decoded)
    if len(data) != first.total_bytes or hashlib.sha256(data).hexdigest() != first.sha256:
        raise SnapshotError(f"{first.name}: the digest is another; data was damaged on its way")
    return WholeFile(first.name, first.media_type, data)


def _read(path: Path, left: int, max_total_bytes: int) -> bytes:
    """A file of at most so many bytes; no link, no pipe."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise SnapshotError(f"{path.name}: not a file")
            data = file.read(left + 1)
    except FileNotFoundError:
        raise SnapshotError(f"{path.name}: the clip is no longer there") from None
    except OSError as error:
        raise SnapshotError(f"{path.name}: can't be read ({error.strerror})") from None
    if len(data) > left:
        raise SnapshotError(
            f"{path.name}: the clip is larger than {max_total_bytes} bytes, more than is sent; "
            "make clips shorter with [clips] longest_s, or fetch it from the node's disk"
        )
    return data
