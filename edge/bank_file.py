"""The memory bank as a TFLite flatbuffer, written without TensorFlow and read by any runtime.

The model is one int8 FULLY_CONNECTED layer whose weights are the bank. With the bias
`-|m|^2 / 2` its largest output belongs to the nearest row, since
`|x - m|^2 = |x|^2 - 2 (x m - |m|^2 / 2)`. The node itself reads the weights and searches them
exactly (`edge.nearest`). All zero points are 0: the embedding's own cancels in a difference.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

WEIGHTS_NAME = "bank"
SCHEMA_VERSION = 3
FULLY_CONNECTED_VERSION = 4  # the first with int8 weights
BUFFER_ALIGNMENT = 16
FILE_IDENTIFIER = b"TFL3"


def read_bank(model: bytes) -> Int8Array:
    """The bank's rows, [rows, dimension] int8.

    The flatbuffer is read here and not by a runtime: one of them crashes on a damaged file.

    Raises:
        BundleError: not a flatbuffer that holds a bank.
    """
    try:
        rows = _find_weights(model)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise BundleError(f"the memory bank's flatbuffer is damaged ({error})") from None
    if rows is None:
        raise BundleError("the memory bank's flatbuffer holds no int8 tensor named 'bank'")
    return rows


def _find_weights(model: bytes) -> Int8Array | None:
    if model[4:8] != FILE_IDENTIFIER:
        raise ValueError("it does not begin as a TFLite file does")
    root = _Table(model, _unpack("<I", model, 0))
    (graph, *_) = root.tables(_MODEL_SUBGRAPHS)
    buffers = root.tables(_MODEL_BUFFERS)
    for tensor in graph.tables(_GRAPH_TENSORS):
        if tensor.data(_TENSOR_NAME) != WEIGHTS_NAME.encode():
            continue
        shape = np.frombuffer(tensor.data(_TENSOR_SHAPE, width=4), "<i4")
        values = np.frombuffer(buffers[tensor.number(_TENSOR_BUFFER)].data(_BUFFER_DATA), np.int8)
        return values.reshape([int(n) for n in shape]).copy() if min(shape) > 0 else None
    return None


# Where the schema of TFLite keeps these fields in a table's directory.
_MODEL_SUBGRAPHS, _MODEL_BUFFERS = 8, 12
_GRAPH_TENSORS, _TENSOR_SHAPE, _TENSOR_BUFFER, _TENSOR_NAME = 4, 4, 8, 10
_BUFFER_DATA = 4


class _Table:
    """One table of a flatbuffer, read with every bound checked."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data, self._position = data, position
        self._directory = position - _unpack("<i", data, position)

    def number(self, field: int) -> int:
        """An unsigned 32-bit field; 0 when absent."""
        at = self._at(field)
        return _unpack("<I", self._data, at) if at else 0

    def data(self, field: int, *, width: int = 1) -> bytes:
        """The raw content of a vector or a string whose elements have `width` bytes."""
        start, count = self._vector(field)
        content = self._data[start : start + count * width]
        if len(content) != count * width:
            raise ValueError("it ends too early")
        return content

    def tables(self, field: int) -> list[_Table]:
        """A vector of tables."""
        start, count = self._vector(field)
        if start + 4 * count > len(self._data):
            raise ValueError("it ends too early")
        places = range(start, start + 4 * count, 4)
        return [_Table(self._data, at + _unpack("<I", self._data, at)) for at in places]

    def _vector(self, field: int) -> tuple[int, int]:
        at = self._at(field)
        if not at:
            return 0, 0
        start = at + _unpack("<I", self._data, at)
        return start + 4, _unpack("<I", self._data, start)

    def _at(self, field: int) -> int:
        if field + 2 > _unpack("<H", self._data, self._directory):
            return 0
        offset = _unpack("<H", self._data, self._directory + field)
        return self._position + offset if offset else 0


def _unpack(form: str, data: bytes, position: int) -> int:
    if position < 0:
        raise ValueError("it points before its beginning")
    (value,) = struct.unpack_from(form, data, position)
    return int(value)


def write_bank(rows: Int8Array, scale: float) -> bytes:
    """A valid flatbuffer holding `rows`, [rows, dimension] int8, each step worth `scale`."""
    import flatbuffers  # noqa: PLC0415  (only calibration writes banks)
    import tflite  # noqa: PLC0415

    builder = flatbuffers.Builder(rows.size + 65_536)
    wide = rows.astype(np.int64)
    bias = -np.rint((wide**2).sum(axis=1) / 2).astype(np.int32)
    data = [b"", rows.tobytes(), bias.astype("<i4").tobytes()]
    buffers = _vector(builder, [_buffer(builder, tflite, raw) for raw in data])
    similarity_scale = scale * float(np.abs(bias).max() + 1) / 127.0
    size, dimension = rows.shape
    tensors = [
        _tensor(builder, tflite, "embedding", (1, dimension), tflite.TensorType.INT8, 0, scale),
        _tensor(builder, tflite, WEIGHTS_NAME, rows.shape, tflite.TensorType.INT8, 1, scale),
        _tensor(builder, tflite, "bias", (size,), tflite.TensorType.INT32, 2, scale * scale),
        _tensor(
            builder, tflite, "similarity", (1, size), tflite.TensorType.INT8, 0,
            scale * similarity_scale,
        ),
    ]  # fmt: skip
    subgraph = _subgraph(builder, tflite, tensors, _operator(builder, tflite))
    codes = _vector(builder, [_operator_code(builder, tflite)])
    graphs = _vector(builder, [subgraph])
    description = builder.CreateString("earpatch memory bank")
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, SCHEMA_VERSION)
    tflite.ModelAddOperatorCodes(builder, codes)
    tflite.ModelAddSubgraphs(builder, graphs)
    tflite.ModelAddDescription(builder, description)
    tflite.ModelAddBuffers(builder, buffers)
    builder.Finish(tflite.ModelEnd(builder), file_identifier=FILE_IDENTIFIER)
    return bytes(builder.Output())


def _vector(builder: Any, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def _buffer(builder: Any, tflite: Any, raw: bytes) -> int:
    data = 0
    if raw:
        builder.StartVector(1, len(raw), BUFFER_ALIGNMENT)
        builder.head -= len(raw)
        builder.Bytes[builder.head : builder.head + len(raw)] = raw
        data = builder.EndVector()
    tflite.BufferStart(builder)
    if data:
        tflite.BufferAddData(builder, data)
    return int(tflite.BufferEnd(builder))


def _tensor(
    builder: Any,
    tflite: Any,
    name: str,
    shape: tuple[int, ...],
    kind: int,
    buffer: int,
    scale: float,
) -> int:
    label = builder.CreateString(name)
    dimensions = builder.CreateNumpyVector(np.asarray(shape, np.int32))
    scales = builder.CreateNumpyVector(np.asarray([scale], np.float32))
    zero_points = builder.CreateNumpyVector(np.zeros(1, np.int64))
    tflite.QuantizationParametersStart(builder)
    tflite.QuantizationParametersAddScale(builder, scales)
    tflite.QuantizationParametersAddZeroPoint(builder, zero_points)
    quantisation = tflite.QuantizationParametersEnd(builder)
    tflite.TensorStart(builder)
    tflite.TensorAddShape(builder, dimensions)
    tflite.TensorAddType(builder, kind)
    tflite.TensorAddBuffer(builder, buffer)
    tflite.TensorAddName(builder, label)
    tflite.TensorAddQuantization(builder, quantisation)
    return int(tflite.TensorEnd(builder))


def _operator(builder: Any, tflite: Any) -> int:
    inputs = builder.CreateNumpyVector(np.asarray([0, 1, 2], np.int32))
    outputs = builder.CreateNumpyVector(np.asarray([3], np.int32))
    tflite.FullyConnectedOptionsStart(builder)
    options = tflite.FullyConnectedOptionsEnd(builder)
    tflite.OperatorStart(builder)
    tflite.OperatorAddOpcodeIndex(builder, 0)
    tflite.OperatorAddInputs(builder, inputs)
    tflite.OperatorAddOutputs(builder, outputs)
    tflite.OperatorAddBuiltinOptionsType(builder, tflite.BuiltinOptions.FullyConnectedOptions)
    tflite.OperatorAddBuiltinOptions(builder, options)
    return int(tflite.OperatorEnd(builder))


def _operator_code(builder: Any, tflite: Any) -> int:
    code = tflite.BuiltinOperator.FULLY_CONNECTED
    tflite.OperatorCodeStart(builder)
    tflite.OperatorCodeAddDeprecatedBuiltinCode(builder, code)  # older runtimes read only this one
    tflite.OperatorCodeAddBuiltinCode(builder, code)
    tflite.OperatorCodeAddVersion(builder, FULLY_CONNECTED_VERSION)
    return int(tflite.OperatorCodeEnd(builder))


def _subgraph(builder: Any, tflite: Any, tensors: list[int], operator: int) -> int:
    tensor_vector = _vector(builder, tensors)
    operators = _vector(builder, [operator])
    inputs = builder.CreateNumpyVector(np.asarray([0], np.int32))
    outputs = builder.CreateNumpyVector(np.asarray([3], np.int32))
    tflite.SubGraphStart(builder)
    tflite.SubGraphAddTensors(builder, tensor_vector)
    tflite.SubGraphAddInputs(builder, inputs)
    tflite.SubGraphAddOutputs(builder, outputs)
    tflite.SubGraphAddOperators(builder, operators)
    return int(tflite.SubGraphEnd(builder))
