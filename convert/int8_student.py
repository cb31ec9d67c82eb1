"""The student with int8's rounding built in, so that it can learn on in spite of it.

Fake quantisation with straight-through gradients (Jacob et al., "Quantization and Training of
Neural Networks", CVPR 2018): weights symmetric by output channel, ReLU6 outputs on 0 to 6, linear
outputs on -1 to 1, as the converter will do it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from convert.student_file import named_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convert.graph import Equalisation
    from convert.network import Convolution, InvertedResidual, Network

    FloatArray = NDArray[np.float32]

STEPS = 127.0  # of a weight, on either side of zero
RELU6 = (0.0, 6.0)
LINEAR = (-1.0, 1.0)


class Int8Student:
    """The weights of a network as variables, to be asked with rounding or without.

    Args:
        network: made ready for int8.
        equalisations: of its taps; beyond them an answer is cut off.
        heard: the range of the windows' values.
    """

    def __init__(
        self, network: Network, equalisations: list[Equalisation], heard: tuple[float, float]
    ) -> None:
        self._network, self._equalisations, self._heard = network, equalisations, heard
        self._kernels, self._biases = {}, {}
        for name, layer in named_layers(network):
            self._kernels[name] = tf.Variable(layer.kernel)
            self._biases[name] = tf.Variable(layer.bias)

    @property
    def variables(self) -> list[Any]:
        """All that is learnt."""
        return [*self._kernels.values(), *self._biases.values()]

    def answers(self, windows: Any, *, rounded: bool) -> list[Any]:
        """Both taps in their own unit. Weights are on the int8 grid in any case."""
        x = _held(windows, self._heard, rounded=rounded)
        x = self._convolved("stem", self._network.stem, x, rounded=rounded)
        said: list[Any] = []
        for index, block in enumerate(self._network.blocks):
            x = self._block(index, block, x, rounded=rounded)
            if index in self._network.taps:
                e = self._equalisations[len(said)]
                equal = _held((x - e.mean) * e.scale, LINEAR, rounded=rounded)
                x = equal / e.scale + e.mean
                said.append(x)
        return said

    def network(self) -> Network:
        """What was learnt, with weights on the int8 grid."""
        learnt = {
            name: replace(
                layer,
                kernel=on_grid(self._kernels[name], depthwise=layer.depthwise).numpy(),
                bias=self._biases[name].numpy(),
            )
            for name, layer in named_layers(self._network)
        }
        blocks = tuple(
            replace(
                block,
                expand=learnt.get(f"block{index}.expand"),
                depthwise=learnt[f"block{index}.depthwise"],
                project=learnt[f"block{index}.project"],
            )
            for index, block in enumerate(self._network.blocks)
        )
        return replace(self._network, stem=learnt["stem"], blocks=blocks)

    def _block(self, index: int, block: InvertedResidual, x: Any, *, rounded: bool) -> Any:
        y, name = x, f"block{index}"
        if block.expand is not None:
            y = self._convolved(f"{name}.expand", block.expand, y, rounded=rounded)
        y = self._convolved(f"{name}.depthwise", block.depthwise, y, rounded=rounded)
        y = self._convolved(f"{name}.project", block.project, y, rounded=rounded)
        return _held(x + y, LINEAR, rounded=rounded) if block.shortcut else y

    def _convolved(self, name: str, layer: Convolution, x: Any, *, rounded: bool) -> Any:
        kernel = on_grid(self._kernels[name], depthwise=layer.depthwise)
        if layer.depthwise:
            y = tf.nn.depthwise_conv2d(x, kernel, (1, layer.stride, layer.stride, 1), "SAME")
        else:
            y = tf.nn.conv2d(x, kernel, layer.stride, "SAME")
        y = tf.nn.bias_add(y, self._biases[name])
        if layer.activation == "none":  # a tap: its range is the equalisation's
            return y
        return _held(y, RELU6 if layer.activation == "relu6" else LINEAR, rounded=rounded)


def on_grid(kernel: Any, *, depthwise: bool) -> Any:
    """A kernel rounded to 127 steps of each output channel's largest weight."""
    axes = (0, 1, 3) if depthwise else (0, 1, 2)
    largest = tf.reduce_max(tf.abs(kernel), axis=axes, keepdims=True)
    step = tf.stop_gradient(tf.maximum(largest, np.finfo(np.float32).tiny) / STEPS)
    return kernel + tf.stop_gradient(tf.round(kernel / step) * step - kernel)


def _held(x: Any, limits: tuple[float, float], *, rounded: bool) -> Any:
    """Cut off at the limits, and in 255 steps between them where rounding is asked for."""
    low, high = limits
    x = tf.clip_by_value(x, low, high)
    return tf.quantization.fake_quant_with_min_max_args(x, low, high) if rounded else x
