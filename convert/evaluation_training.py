"""Training the autoencoder, where TensorFlow may be imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from convert.evaluation_jobs import FRAMES_FILE, LAYERS_FILE, STARTS_FILE, AutoencoderJob
from convert.network import fold_batch_norm

if TYPE_CHECKING:
    from pathlib import Path

    from convert.child import Tell

HIDDEN, BOTTLENECK, LAYERS_A_SIDE = 128, 8, 4
BATCH, LEARNING_RATE = 512, 1e-3
EPSILON = 1e-3


def train(job: AutoencoderJob, folder: Path, tell: Tell) -> None:
    """Minimise the mean squared error with Adam, and keep the layers as plain arrays."""
    keras.utils.set_random_seed(job.seed)
    tf.config.experimental.enable_op_determinism()
    frames = tf.constant(np.load(folder / FRAMES_FILE))
    starts, offsets = np.load(folder / STARTS_FILE), np.asarray(job.offsets)
    model = _make(len(offsets) * int(frames.shape[1]))
    optimizer = keras.optimizers.Adam(LEARNING_RATE)

    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(places: Any) -> None:
        inputs = tf.reshape(tf.gather(frames, places), (tf.shape(places)[0], -1))
        with tf.GradientTape() as tape:
            outputs = model(inputs, training=True)
            loss = tf.reduce_mean(tf.square(outputs - inputs))
        optimizer.apply_gradients(
            zip(
                tape.gradient(loss, model.trainable_variables),
                model.trainable_variables,
                strict=True,
            )
        )

    random = np.random.default_rng(job.seed)
    for epoch in range(job.epochs):
        order = random.permutation(starts)
        for begin in range(0, len(order), BATCH):
            step(tf.constant(order[begin : begin + BATCH, None] + offsets))
        tell(epoch + 1)
    np.savez(folder / LAYERS_FILE, *_folded(model))


def _make(width: int) -> Any:
    inputs = x = keras.Input((width,))
    for number, units in enumerate(_hidden_units()):
        x = layers.Dense(units, use_bias=False, name=f"dense{number}")(x)
        x = layers.BatchNormalization(epsilon=EPSILON, name=f"norm{number}")(x)
        x = layers.ReLU()(x)
    return keras.Model(inputs, layers.Dense(width, name="out")(x))


def _hidden_units() -> list[int]:
    side = [HIDDEN] * LAYERS_A_SIDE
    return [*side, BOTTLENECK, *side]


def _folded(model: Any) -> list[Any]:
    """Kernel and bias by turns, [in, out] and [out], batch normalisation folded in."""
    arrays: list[Any] = []
    for number in range(len(_hidden_units())):
        (kernel,) = model.get_layer(f"dense{number}").get_weights()
        norm = tuple(model.get_layer(f"norm{number}").get_weights())
        arrays += fold_batch_norm(kernel, norm, EPSILON)
    arrays += model.get_layer("out").get_weights()
    return arrays
