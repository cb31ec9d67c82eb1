"""The child in which TensorFlow makes the peers' models, with random weights: speed is the same.

The autoencoder of DCASE2020 Task 2 (Koizumi et al., 2020): five frames of 128 bands, dense layers
of 128 (four), 8 and 128 (four) units with batch normalisation, in float32 as published. YAMNet
(Plakal and Ellis, 2020): MobileNetV1 over 96 x 64 log-mel frames and 521 classes, int8.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.bench.children import answer

if TYPE_CHECKING:
    from collections.abc import Iterator

AUTOENCODER_FILE, YAMNET_FILE = "autoencoder.tflite", "yamnet.tflite"
FRAMES_BANDS = 5 * 128
UNITS = (128, 128, 128, 128, 8, 128, 128, 128, 128)
YAMNET_SHAPE, YAMNET_CLASSES = (96, 64, 1), 521
REPRESENTATIVE = 8


def _make(job: dict[str, Any]) -> list[str]:
    import keras  # noqa: PLC0415
    import tensorflow as tf  # noqa: PLC0415

    folder = Path(job["folder"])
    layers: list[Any] = [keras.layers.Input((FRAMES_BANDS,))]
    for units in UNITS:
        layers += [keras.layers.Dense(units), keras.layers.BatchNormalization()]
        layers.append(keras.layers.ReLU())
    autoencoder = keras.Sequential([*layers, keras.layers.Dense(FRAMES_BANDS)])
    plain = tf.lite.TFLiteConverter.from_keras_model(autoencoder)
    (folder / AUTOENCODER_FILE).write_bytes(plain.convert())
    yamnet = keras.applications.MobileNet(YAMNET_SHAPE, weights=None, classes=YAMNET_CLASSES)
    quantising = tf.lite.TFLiteConverter.from_keras_model(yamnet)
    quantising.optimizations = [tf.lite.Optimize.DEFAULT]
    quantising.representative_dataset = _representative
    quantising.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    quantising.inference_input_type = quantising.inference_output_type = tf.int8
    (folder / YAMNET_FILE).write_bytes(quantising.convert())
    return [AUTOENCODER_FILE, YAMNET_FILE]


def _representative() -> Iterator[list[Any]]:
    random = np.random.default_rng(0)
    for _ in range(REPRESENTATIVE):
        yield [random.normal(size=(1, *YAMNET_SHAPE)).astype(np.float32)]


if __name__ == "__main__":
    answer(_make)
