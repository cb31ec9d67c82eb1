"""Post-training quantisation of a backbone to full int8."""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from convert.graph import Equalisation, embeddings, taps
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from convert.network import Network

    FloatArray = NDArray[np.float32]

EQUALISATION_BATCH = 16


def equalise(network: Network, windows: FloatArray) -> list[Equalisation]:
    """Measure both taps on normal windows, [n, frames, bands]."""
    collected: list[list[FloatArray]] = [[], []]
    for start in range(0, len(windows), EQUALISATION_BATCH):
        batch = windows[start : start + EQUALISATION_BATCH, :, :, None]
        for found, features in zip(collected, taps(network, tf.constant(batch)), strict=True):
            found.append(features.numpy())
    return [Equalisation.of(np.concatenate(found)) for found in collected]


def quantise(
    network: Network, equalisations: list[Equalisation], representative: FloatArray
) -> bytes:
    """The int8 flatbuffer: int8 [1, T, F, 1] in, int8 [1, T / 8, F / 8, dimension] out.

    Args:
        network: the float network.
        equalisations: one for each tap.
        representative: windows that span what the node will hear, [n, frames, bands]; the range
            of every activation is taken from them.
    """
    frames, bands = representative.shape[1:]

    @tf.function(input_signature=[tf.TensorSpec((1, frames, bands, 1), tf.float32)])
    def backbone(window: Any) -> Any:
        return embeddings(network, equalisations, window)

    def dataset() -> Iterator[list[FloatArray]]:
        for window in representative:
            yield [window[None, :, :, None]]

    module = tf.Module()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [backbone.get_concrete_function()], module
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = dataset
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    with _quiet() as log:
        try:
            return bytes(converter.convert())
        except Exception as error:
            raise EarpatchError(
                f"TensorFlow could not quantise the backbone ({_last_line(error)}); log: {log}"
            ) from error


@contextlib.contextmanager
def _quiet() -> Iterator[str]:
    """Send what the converter prints, hundreds of lines, to a file; Python's stderr included."""
    with tempfile.NamedTemporaryFile("wb", prefix="earpatch-convert-", delete=False) as log:
        saved = os.dup(2)
        os.dup2(log.fileno(), 2)
    try:
        yield log.name
    except BaseException:
        os.dup2(saved, 2)
        raise
    else:
        os.dup2(saved, 2)
        os.unlink(log.name)  # noqa: PTH108
    finally:
        os.close(saved)


def _last_line(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
