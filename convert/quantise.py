"""Post-training quantisation of a backbone to full int8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from convert.graph import Equalisation, embeddings, taps
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from convert.network import Network

    FloatArray = NDArray[np.float32]

BATCH = 16
WITHIN = 0.999  # of all values: the rest is cut off


def equalise(
    network: Network, normal: FloatArray, disturbed: FloatArray | None = None
) -> list[Equalisation]:
    """Measure both taps on windows, [n, frames, bands].

    Args:
        network: the float network.
        normal: windows whose variance becomes the unit.
        disturbed: other windows that an embedding must hold as well.
    """
    plain = _tapped(network, normal)
    equalisations = [Equalisation.of(features) for features in plain]
    sets = [plain] if disturbed is None else [plain, _tapped(network, disturbed)]
    widest = max(
        float(np.quantile(np.abs((features - e.mean) * e.scale), WITHIN))
        for tapped in sets
        for features, e in zip(tapped, equalisations, strict=True)
    )
    return [equalisation.within(widest) for equalisation in equalisations]


def _tapped(network: Network, windows: FloatArray) -> list[FloatArray]:
    collected: list[list[FloatArray]] = [[], []]
    for start in range(0, len(windows), BATCH):
        batch = tf.constant(windows[start : start + BATCH, :, :, None])
        for found, features in zip(collected, taps(network, batch), strict=True):
            found.append(features.numpy())
    return [np.concatenate(found) for found in collected]


def quantise(
    network: Network,
    equalisations: list[Equalisation],
    representative: Callable[[], Iterator[FloatArray]],
    window_shape: tuple[int, int],
) -> bytes:
    """The int8 flatbuffer: int8 [1, T, F, 1] in, int8 [1, T / 8, F / 8, dimension] out.

    Args:
        network: the float network.
        equalisations: one for each tap.
        representative: gives windows, [frames, bands], that span what the node will hear: the range
            of every activation is taken from them.
        window_shape: frames and bands.

    Raises:
        EarpatchError: TensorFlow's converter failed.
    """

    @tf.function(input_signature=[tf.TensorSpec((1, *window_shape, 1), tf.float32)])  # type: ignore[untyped-decorator]
    def backbone(window: Any) -> Any:
        return embeddings(network, equalisations, window)

    def dataset() -> Iterator[list[FloatArray]]:
        for window in representative():
            yield [window[None, :, :, None]]

    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [backbone.get_concrete_function()], tf.Module()
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    try:
        return bytes(converter.convert())
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = lines[-1] if lines else type(error).__name__
        raise EarpatchError(f"TensorFlow could not quantise the backbone: {reason}") from error
