"""A bundle as one file: a tar archive of known names in a known order, byte for byte predictable.

    signature.json     where it is signed: see `edge.signing`
    manifest.json      holds the digests of what follows
    backbone.tflite, bank.tflite, golden.bin

Any tar can list and unpack it. Reading is stricter than tar: each head must be exactly the one that
`pack` would write for that name and length, so there are no paths, links, devices, owners or
extensions to be careful with, and the same content is always the same archive.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from edge.bundle import MANIFEST_FILE
from edge.bundle_store import FILES, SIGNATURE_FILE
from edge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MEMBERS = (SIGNATURE_FILE, MANIFEST_FILE, *(n for n in FILES if n != MANIFEST_FILE))
BLOCK = 512
END = 2 * BLOCK  # of zeros
SIZE_FIELD = slice(124, 136)
CHECKSUM_FIELD = slice(148, 156)
MAX_ARCHIVE_BYTES = 64 * 2**20
SUFFIX = ".earpatch"


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of a bundle's files; `signature.json` may be missing.

    Raises:
        BundleError: more than an archive may hold.
    """
    parts = []
    for name in MEMBERS:
        if name == SIGNATURE_FILE and name not in files:
            continue
        data = files[name]
        parts += [_head(name, len(data)), data, bytes(-len(data) % BLOCK)]
    archive = b"".join([*parts, bytes(END)])
    if len(archive) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{len(archive)} bytes are more than an archive may have")
    return archive


def unpack(archive: bytes) -> dict[str, bytes]:
    """The files in an archive. Nothing is written anywhere, and no digest is checked.

    Raises:
        BundleError: not byte for byte what `pack` makes.
    """
    files, position = {}, 0
    signed = archive.startswith(SIGNATURE_FILE.encode() + b"\0")
    for name in MEMBERS if signed else MEMBERS[1:]:
        size = _size_at(archive, position)
        data = archive[position + BLOCK : position + BLOCK + size]
        if archive[position : position + BLOCK] != _head(name, size) or len(data) != size:
            raise BundleError(f"not a whole earpatch archive: {name} is not where it belongs")
        padding = archive[position + BLOCK + size : position + BLOCK + size + -size % BLOCK]
        if padding.strip(b"\0"):
            raise BundleError(f"not a whole earpatch archive: something is hidden behind {name}")
        files[name] = data
        position += BLOCK + size + -size % BLOCK
    if archive[position:] != bytes(END):
        raise BundleError("not a whole earpatch archive: it does not end where it should")
    return files


def read_archive(path: Path) -> bytes:
    """An archive's bytes.

    Raises:
        BundleError: no such file, no plain file, or too large.
    """
    try:
        # Without O_NONBLOCK a pipe in the file's place would be waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BundleError(f"{path}: not a file")
            data = file.read(MAX_ARCHIVE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{path}: can't be read ({error.strerror or error})") from None
    if len(data) > MAX_ARCHIVE_BYTES:
        raise BundleError(f"{path}: larger than the {MAX_ARCHIVE_BYTES} bytes of an archive")
    return data


def _head(name: str, size: int) -> bytes:
    """The head of one member: a plain file of root, mode 0644, at the beginning of time."""
    head = bytearray(BLOCK)
    fields = [
        (0, name.encode()), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"),
        (124, b"%011o\0" % size), (136, b"00000000000\0"), (148, b" " * 8), (156, b"0"),
        (257, b"ustar\x0000"), (329, b"0000000\0"), (337, b"0000000\0"),
    ]  # fmt: skip
    for at, value in fields:
        head[at : at + len(value)] = value
    head[CHECKSUM_FIELD] = b"%06o\0 " % sum(head)
    return bytes(head)


def _size_at(archive: bytes, position: int) -> int:
    """What the head says; 0 for what is no number, which no member of ours has as its length."""
    digits = archive[position : position + BLOCK][SIZE_FIELD].rstrip(b"\0")
    if not digits.isdigit() or digits.strip(b"01234567"):
        return 0
    return min(int(digits, 8), MAX_ARCHIVE_BYTES)
