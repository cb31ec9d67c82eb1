"""The memory bank as a TFLite flatbuffer, written without TensorFlow and read by any runtime.

The model is one int8 FULLY_CONNECTED layer whose weights are the bank. With the bias
`-|m|^2 / 2` its largest output belongs to the nearest row, since
`|x - m|^2 = |x|^2 - 2 (x m - |m|^2 / 2)`. The node itself reads the weights and searches them
exactly (`edge.nearest`). All zero points are 0: the embedding's own cancels in a difference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.errors import BundleError, RuntimeUnavailableError
from edge.runtime import RuntimeName, make_interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

WEIGHTS_NAME = "bank"
SCHEMA_VERSION = 3
FULLY_CONNECTED_VERSION = 4  # the first with int8 weights
BUFFER_ALIGNMENT = 16
FILE_IDENTIFIER = b"TFL3"


def read_bank(model: bytes, *, runtime: RuntimeName = "auto") -> Int8Array:
    """The bank's rows, [rows, dimension] int8.

    Raises:
        BundleError: not a flatbuffer that holds a bank.
    """
    try:
        interpreter, _ = make_interpreter(model, runtime=runtime)
    except RuntimeUnavailableError as error:
        raise BundleError(f"the memory bank can't be loaded: {error}") from None
    for details in interpreter.get_tensor_details():
        if details["name"] == WEIGHTS_NAME and details["dtype"] is np.int8:
            rows: Int8Array = np.array(interpreter.get_tensor(details["index"]))
            return rows
    raise BundleError("the memory bank's flatbuffer holds no int8 tensor named 'bank'")


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
