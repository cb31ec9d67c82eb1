"""The frozen int8 MobileNet: one window of log-mel frames in, a grid of int8 embeddings out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.errors import BundleError
from edge.runtime import KernelChoice, RuntimeName, make_interpreter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]


class Quantisation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """real = scale * (int8 - zero_point), one pair for the whole tensor."""

    scale: float
    zero_point: int


class BackboneInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backbone is, and the shapes it promises; kept in the manifest."""

    name: str
    source: str  # where its weights come from, with their licence
    weights_sha256: str
    taps: list[str]  # the layers that were joined into one embedding
    window_frames: int
    mel_bands: int
    grid_columns: int  # cells along time
    grid_rows: int  # cells along frequency
    dimension: int
    context_columns: int = 2  # cells at each end of a window that padding has marked

    @property
    def frames_per_column(self) -> int:
        """Log-mel frames under one cell."""
        return self.window_frames // self.grid_columns

    @property
    def bands_per_row(self) -> int:
        """Mel bands under one cell."""
        return self.mel_bands // self.grid_rows


class Backbone:
    """An interpreter around a backbone's flatbuffer.

    Raises:
        BundleError: the model's tensors are not what `info` promises.
        RuntimeUnavailableError: no runtime can load it.
    """

    def __init__(
        self,
        model: bytes,
        info: BackboneInfo,
        *,
        runtime: RuntimeName = "auto",
        kernels: KernelChoice = "auto",
    ) -> None:
        self.info = info
        self._interpreter, self.runtime = make_interpreter(model, runtime=runtime, kernels=kernels)
        inputs = self._interpreter.get_input_details()
        outputs = self._interpreter.get_output_details()
        window = (1, info.window_frames, info.mel_bands, 1)
        grid = (1, info.grid_columns, info.grid_rows, info.dimension)
        _check("input", inputs, window)
        _check("output", outputs, grid)
        self._input_index, self._output_index = inputs[0]["index"], outputs[0]["index"]
        self.input = Quantisation(*inputs[0]["quantization"])
        self.output = Quantisation(*outputs[0]["quantization"])

    def embed(self, window: FloatArray) -> Int8Array:
        """Embeddings of one window: [frames, bands] float32 -> [columns, rows, dimension] int8."""
        return self.embed_quantised(self.quantise(window))

    def quantise(self, window: FloatArray) -> Int8Array:
        """A window as the network takes it, [frames, bands] int8."""
        steps = np.rint(window * np.float32(1.0 / self.input.scale)) + self.input.zero_point
        quantised: Int8Array = np.clip(steps, -128, 127).astype(np.int8)
        return quantised

    def embed_quantised(self, quantised: Int8Array) -> Int8Array:
        """Embeddings of one window that is int8 already."""
        self._interpreter.set_tensor(self._input_index, quantised[None, :, :, None])
        self._interpreter.invoke()
        # A copy: a view would have to be gone before the next invoke().
        grid: Int8Array = self._interpreter.get_tensor(self._output_index)[0]
        return grid


def _check(what: str, details: list[dict[str, object]], shape: tuple[int, ...]) -> None:
    if len(details) != 1:
        raise BundleError(f"the backbone has {len(details)} {what} tensors, not one")
    found = tuple(int(n) for n in np.asarray(details[0]["shape"]))
    if found != shape or details[0]["dtype"] is not np.int8:
        raise BundleError(
            f"the backbone's {what} is {details[0]['dtype']} {list(found)}, "
            f"the manifest promises int8 {list(shape)}"
        )
