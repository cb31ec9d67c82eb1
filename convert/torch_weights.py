"""PyTorch state dicts as numpy arrays, without torch and without running what a pickle says.

A state dict is a pickle next to raw tensor storages. This reader walks the pickle's opcodes with
`pickletools` and knows only the few that build dictionaries of tensors; anything else is refused,
so a file can describe data but never call code. Both layouts are read: the zip archive (PyTorch
1.6 and later) and the older sequence of pickles.
"""

from __future__ import annotations

import io
import math
import pickletools
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STORAGE_TYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch HalfStorage": np.dtype("<f2"),
    "torch DoubleStorage": np.dtype("<f8"),
    "torch LongStorage": np.dtype("<i8"),
    "torch IntStorage": np.dtype("<i4"),
}
REBUILD_TENSOR = "torch._utils _rebuild_tensor_v2"
EMPTY_MAPPING = "collections OrderedDict"
LEGACY_HEADER_PICKLES = 3  # magic number, protocol version, system information
MAX_WEIGHTS_BYTES = 500_000_000
MAX_DIMENSIONS = 8


class WeightsError(EarpatchError):
    """A weights file is missing, damaged, or holds more than tensors."""


class _Global(NamedTuple):
    name: str


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    elements: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Mark:
    """The pickle machine's stack mark."""


def read_state_dict(path: Path) -> dict[str, NDArray[Any]]:
    """All tensors of a state dict by name.

    Raises:
        WeightsError: no such file, not a PyTorch state dict, damaged, or an opcode that would do
            more than describe tensors.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such weights file")
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"{path}: larger than {MAX_WEIGHTS_BYTES} bytes, not a MobileNet")
    try:
        if zipfile.is_zipfile(path):
            return _read_archive(path)
        return _read_legacy(path)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from None
    except _DAMAGE as error:
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(f"{path}: not a PyTorch state dict, or damaged ({first_line})") from None


def _read_archive(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_WEIGHTS_BYTES:
            raise WeightsError("unpacks to more than a MobileNet could hold")
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise WeightsError("the archive holds no data.pkl, so it is no PyTorch state dict")
        root = names[0].removesuffix("data.pkl")
        tensors = _tensors(_interpret(io.BytesIO(archive.read(names[0]))))
        _refuse_bombs(tensors)
        return {
            name: _view(tensor, archive.read(f"{root}data/{tensor.storage.key}"))
            for name, tensor in tensors.items()
        }


def _read_legacy(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        for _ in range(LEGACY_HEADER_PICKLES):
            _interpret(file)
        tensors = _tensors(_interpret(file))
        _refuse_bombs(tensors)
        keys = _interpret(file)
        by_key = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
        storages = {}
        for key in keys:
            elements = int.from_bytes(file.read(8), "little")
            storage = by_key[key]
            if elements != storage.elements:
                raise WeightsError(f"storage {key} holds {elements}, not {storage.elements} values")
            storages[key] = file.read(elements * storage.dtype.itemsize)
    return {name: _view(tensor, storages[tensor.storage.key]) for name, tensor in tensors.items()}


def _refuse_bombs(tensors: dict[str, _Tensor]) -> None:
    """A tensor's shape may promise far more than its storage holds: strides can be 0."""
    total = sum(math.prod(t.shape) * t.storage.dtype.itemsize for t in tensors.values())
    if total > MAX_WEIGHTS_BYTES:
        raise WeightsError("describes more values than a MobileNet could hold")


def _view(tensor: _Tensor, raw: bytes) -> NDArray[Any]:
    dtype = tensor.storage.dtype
    flat = np.frombuffer(raw, dtype)
    extents = zip(tensor.shape, tensor.strides, strict=True)
    reach = tensor.offset + 1 + sum((n - 1) * stride for n, stride in extents)
    if reach > len(flat):
        raise WeightsError(f"a tensor needs {reach} values, its storage holds {len(flat)}")
    strides = tuple(s * dtype.itemsize for s in tensor.strides)
    return np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides).copy()


def _tensors(value: object) -> dict[str, _Tensor]:
    if not isinstance(value, dict):
        raise WeightsError(f"holds a {type(value).__name__}, not a dictionary of tensors")
    found = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, _Tensor)}
    if not found:
        raise WeightsError("holds no tensors")
    return found


def _interpret(file: Any) -> Any:
    """What a pickle describes, built from plain data only."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return stack.pop()
        _step(opcode.name, argument, stack, memo)
    raise WeightsError("the pickle ends before its STOP")


def _step(name: str, argument: Any, stack: list[Any], memo: dict[int, Any]) -> None:  # noqa: C901, PLR0912
    if name in _IGNORED:
        pass
    elif name == "BUILD":
        stack.pop()  # an OrderedDict's attributes; no tensor lives there
    elif name in {"BINPUT", "LONG_BINPUT", "PUT"}:
        memo[int(argument)] = stack[-1]
    elif name == "MEMOIZE":
        memo[len(memo)] = stack[-1]
    elif name in {"BINGET", "LONG_BINGET", "GET"}:
        stack.append(memo[int(argument)])
    elif name == "GLOBAL":
        stack.append(_Global(argument))
    elif name in _CONSTANTS:
        stack.append(_CONSTANTS[name])
    elif name in _VALUES:
        stack.append(argument)
    elif name == "MARK":
        stack.append(_Mark())
    elif name in {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE"}:
        stack.append({"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}[name]())
    elif name in _TUPLES:
        stack.append(tuple([stack.pop() for _ in range(_TUPLES[name])][::-1]))
    elif name == "TUPLE":
        stack.append(tuple(_pop_to_mark(stack)))
    elif name in {"SETITEM", "SETITEMS"}:
        items = _pop_to_mark(stack) if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
        _set_items(stack[-1], items)
    elif name in {"APPEND", "APPENDS"}:
        appended = _pop_to_mark(stack) if name == "APPENDS" else [stack.pop()]
        if not isinstance(stack[-1], list):
            raise WeightsError("the pickle appends to something that is no list")
        stack[-1].extend(appended)
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif name == "REDUCE":
        arguments = stack.pop()
        stack.append(_reduce(stack.pop(), arguments))
    else:
        raise WeightsError(f"refused: the pickle uses {name}, which a state dict has no need of")


_IGNORED = {"PROTO", "FRAME"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4", "BINFLOAT", "FLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "UNICODE"),
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
# What reading a damaged file was seen to raise.
_DAMAGE = (
    *(ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, MemoryError),
    *(EOFError, OSError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error),
)


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _set_items(mapping: Any, items: list[Any]) -> None:
    """Only text is a key: hashing what a hostile file nested could take for ever."""
    keys = items[::2]
    if not isinstance(mapping, dict) or not all(isinstance(key, str) for key in keys):
        raise WeightsError("refused: a dictionary with keys that are not names")
    mapping.update(zip(keys, items[1::2], strict=True))


def _storage(value: Any) -> _Storage:
    kind, storage_type, key, _location, elements, *_ = value
    if kind != "storage" or not isinstance(storage_type, _Global):
        raise WeightsError("refused: a reference to something that is not a tensor's storage")
    if storage_type.name not in STORAGE_TYPES:
        raise WeightsError(f"refused: values of the type {storage_type.name}")
    if not isinstance(key, str) or not _are_counts((elements,)):
        raise WeightsError("refused: a storage without a name or a size")
    return _Storage(key, STORAGE_TYPES[storage_type.name], elements)


def _reduce(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global):
        raise WeightsError("refused: the file asks to call something without a name")
    if function.name == EMPTY_MAPPING and arguments == ():
        return {}
    if function.name != REBUILD_TENSOR:
        raise WeightsError(f"refused: the file asks to call {function.name.replace(' ', '.')}")
    storage, offset, shape, strides, *_ = arguments
    if not isinstance(storage, _Storage):
        raise WeightsError("refused: a tensor without a storage")
    if not (_are_counts((offset,)) and _are_counts(shape) and _are_counts(strides)):
        raise WeightsError("refused: a tensor whose shape is not made of numbers")
    if len(shape) > MAX_DIMENSIONS or len(shape) != len(strides) or 0 in shape:
        raise WeightsError(f"a tensor has the shape {shape} and the strides {strides}")
    return _Tensor(storage, offset, shape, strides)


def _are_counts(values: Any) -> bool:
    return isinstance(values, tuple) and all(
        type(value) is int and 0 <= value <= MAX_WEIGHTS_BYTES for value in values
    )
