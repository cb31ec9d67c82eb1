"""PyTorch state dicts written by hand, opcode by opcode, in both of PyTorch's file layouts."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

VALUES = np.arange(24, dtype="<f4")
START, STOP = b"\x80\x02", b"."
ORDERED_DICT = b"ccollections\nOrderedDict\n)R"


def text(value: str) -> bytes:
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def integer(value: int) -> bytes:
    raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def sequence(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def storage(key: str = "0", elements: int = 24, kind: str = "FloatStorage") -> bytes:
    named = f"ctorch\n{kind}\n".encode()
    return sequence(text("storage"), named, text(key), text("cpu"), integer(elements)) + b"Q"


def tensor(
    shape: tuple[int, ...] = (24,),
    strides: tuple[int, ...] = (1,),
    offset: int = 0,
    source: bytes | None = None,
) -> bytes:
    arguments = sequence(
        storage() if source is None else source,
        integer(offset),
        sequence(*map(integer, shape)),
        sequence(*map(integer, strides)),
        b"\x89",  # requires_grad
        ORDERED_DICT,  # backward hooks
    )
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"


def state_dict(**items: bytes) -> bytes:
    pairs = b"".join(text(name) + value for name, value in items.items())
    return START + ORDERED_DICT + b"(" + pairs + b"u" + STOP


def archive(
    program: bytes, raw: bytes = VALUES.tobytes(), method: int = zipfile.ZIP_STORED
) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as out:
        out.writestr("archive/data.pkl", program)
        out.writestr("archive/data/0", raw)
    return file.getvalue()


def legacy(program: bytes, raw: bytes = VALUES.tobytes()) -> bytes:
    header = START + integer(0x1950A86A20F9469CFC6C) + STOP + START + integer(1001) + STOP
    system = START + b"}(" + text("little_endian") + b"\x88u" + STOP
    keys = START + b"](" + text("0") + b"e" + STOP
    return header + system + program + keys + (len(raw) // 4).to_bytes(8, "little") + raw


def _touch(marker: Path) -> bytes:
    return text(f"touch {marker}")


# Values beside a tensor that would do something if a file were unpickled; given a path to touch.
HOSTILE: dict[str, Callable[[Path], bytes]] = {
    "REDUCE os.system": lambda path: b"cos\nsystem\n" + sequence(_touch(path)) + b"R",
    "REDUCE eval": lambda path: (
        b"cbuiltins\neval\n" + sequence(text(f"open({str(path)!r}, 'w')")) + b"R"
    ),
    "INST": lambda path: b"(" + _touch(path) + b"ios\nsystem\n",
    "OBJ": lambda path: b"(cos\nsystem\n" + _touch(path) + b"o",
    "NEWOBJ": lambda path: b"cos\nsystem\n" + sequence(_touch(path)) + b"\x81",
    "NEWOBJ_EX": lambda path: b"cos\nsystem\n" + sequence(_touch(path)) + b"}\x92",
    "STACK_GLOBAL": lambda path: (
        text("os") + text("system") + b"\x93" + sequence(_touch(path)) + b"R"
    ),
    "EXT1": lambda _: b"\x82\x01",
    "EXT2": lambda _: b"\x83\x01\x00",
    "EXT4": lambda _: b"\x84\x01\x00\x00\x00",
    "PERSID": lambda path: f"Ptouch {path}\n".encode(),
    "BINPERSID of something else": lambda _: (
        sequence(text("module"), b"cos\nsystem\n", text("0"), text("cpu"), integer(1)) + b"Q"
    ),
    "a storage of another type": lambda _: tensor(source=storage(kind="UntypedStorage")),
    "bytes": lambda _: b"C\x03abc",
}
