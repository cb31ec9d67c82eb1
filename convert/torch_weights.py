"""PyTorch state dicts as numpy arrays, without torch and without running what a pickle says.

A state dict is a pickle next to raw tensor storages. This reader walks the pickle's opcodes with
`pickletools` and knows only the few that build dictionaries of tensors; anything else is refused,
so a file can describe data but never call code. Both layouts are read: the zip archive (PyTorch
1.6 and later) and the older sequence of pickles.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
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
    except (ValueError, KeyError, IndexError, TypeError, OSError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{path}: not a PyTorch state dict, or damaged ({error})") from None


def _read_archive(path: Path) -> dict[str, NDArray[Any]]:
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_WEIGHTS_BYTES:
            raise WeightsError("unpacks to more than a MobileNet could hold")
        names = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        if len(names) != 1:
            raise WeightsError("the archive holds no data.pkl, so it is no PyTorch state dict")
        root = names[0].removesuffix("data.pkl")
        tensors = _tensors(_interpret(io.BytesIO(archive.read(names[0]))))
        return {
            name: _view(tensor, archive.read(f"{root}data/{tensor.storage.key}"))
            for name, tensor in tensors.items()
        }


def _read_legacy(path: Path) -> dict[str, NDArray[Any]]:
    with path.open("rb") as file:
        for _ in range(LEGACY_HEADER_PICKLES):
            _interpret(file)
        tensors = _tensors(_interpret(file))
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


def _view(tensor: _Tensor, raw: bytes) -> NDArray[Any]:
    dtype = tensor.storage.dtype
    flat = np.frombuffer(raw, dtype)
    reach = (
        tensor.offset
        + 1
        + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides, strict=True))
    )
    if min((*tensor.shape, 1)) < 1 or min((*tensor.strides, tensor.offset, 0)) < 0:
        raise WeightsError(f"a tensor has the shape {tensor.shape}, strides {tensor.strides}")
    if reach > len(flat):
        raise WeightsError(f"a tensor needs {reach} values, its storage holds {len(flat)}")
    strides = tuple(s * dtype.itemsize for s in tensor.strides)
    view = np.lib.stride_tricks.as_strided(flat[tensor.offset :], tensor.shape, strides)
    return np.ascontiguousarray(view)


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
    if name in {"PROTO", "FRAME", "BUILD"}:
        if name == "BUILD":
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
    elif argument is not None and isinstance(argument, int | float | str):
        stack.append(argument)
    elif name == "MARK":
        stack.append(_Mark())
    elif name in {"EMPTY_DICT", "EMPTY_LIST"}:
        stack.append({} if name == "EMPTY_DICT" else [])
    elif name == "EMPTY_TUPLE":
        stack.append(())
    elif name in _TUPLES:
        items = [stack.pop() for _ in range(_TUPLES[name])]
        stack.append(tuple(reversed(items)))
    elif name == "TUPLE":
        stack.append(tuple(_pop_to_mark(stack)))
    elif name in {"SETITEM", "SETITEMS"}:
        items = _pop_to_mark(stack) if name == "SETITEMS" else [stack.pop(), stack.pop()][::-1]
        stack[-1].update(zip(items[::2], items[1::2], strict=True))
    elif name in {"APPEND", "APPENDS"}:
        stack_items = _pop_to_mark(stack) if name == "APPENDS" else [stack.pop()]
        stack[-1].extend(stack_items)
    elif name == "BINPERSID":
        stack.append(_storage(stack.pop()))
    elif name == "REDUCE":
        arguments = stack.pop()
        stack.append(_reduce(stack.pop(), arguments))
    else:
        raise WeightsError(f"refused: the pickle uses {name}, which a state dict has no need of")


_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _pop_to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while not isinstance(item := stack.pop(), _Mark):
        items.append(item)
    return items[::-1]


def _storage(value: Any) -> _Storage:
    kind, storage_type, key, _location, elements, *_ = value
    if kind != "storage" or not isinstance(storage_type, _Global):
        raise WeightsError("refused: a reference to something that is not a tensor's storage")
    if storage_type.name not in STORAGE_TYPES:
        raise WeightsError(f"refused: values of the type {storage_type.name}")
    return _Storage(str(key), STORAGE_TYPES[storage_type.name], int(elements))


def _reduce(function: Any, arguments: Any) -> Any:
    name = function.name if isinstance(function, _Global) else repr(function)
    if name == EMPTY_MAPPING and not arguments:
        return {}
    if name != REBUILD_TENSOR:
        raise WeightsError(f"refused: the file asks to call {name.replace(' ', '.')}")
    storage, offset, shape, strides, *_ = arguments
    if not isinstance(storage, _Storage):
        raise WeightsError("refused: a tensor without a storage")
    return _Tensor(storage, offset, shape, strides)
