"""A network as a TensorFlow graph with one embedding per cell: what gets quantised.

PatchCore (Roth et al., CVPR 2022) joins two layers of a backbone after a 3x3 average over each
one's neighbourhood. Here both grids, at strides of 8 and 16, are brought to the finer one, each
layer is scaled to contribute equally to a squared distance, and the two are concatenated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convert.network import Convolution, InvertedResidual, Network, SqueezeExcite

    FloatArray = NDArray[np.float32]

POOL = 3


@dataclass(frozen=True)
class Equalisation:
    """For one tap: `(features - mean) * scale`, mean by channel, one scale for the layer.

    What lies beyond -1 and 1 afterwards is cut off: one far value would cost all others their
    resolution in int8.
    """

    mean: FloatArray  # [channels]
    scale: float

    @classmethod
    def of(cls, features: FloatArray) -> Equalisation:
        """From normal features, [n, columns, rows, channels]: the summed variance becomes 1."""
        flat = features.reshape(-1, features.shape[-1]).astype(np.float64)
        total = float(flat.var(axis=0).sum())
        return cls(flat.mean(axis=0).astype(np.float32), float(1.0 / np.sqrt(max(total, 1e-12))))

    def within(self, widest: float) -> Equalisation:
        """The same, with values up to `widest` brought within -1 and 1."""
        return Equalisation(self.mean, self.scale / widest)


def taps(network: Network, windows: Any) -> list[Any]:
    """Both tapped layers, averaged over 3x3 where the network wants it, on their own grids.

    [n, T, F, 1] in.
    """
    tapped = tapped_layers(network, windows)
    return [tf.nn.avg_pool2d(x, POOL, 1, "SAME") for x in tapped] if network.pooled else tapped


def tapped_layers(network: Network, windows: Any) -> list[Any]:
    """Both tapped layers as they are. [n, T, F, 1] in."""
    x = convolve(windows, network.stem)
    tapped = []
    for index, block in enumerate(network.blocks[: network.taps[-1] + 1]):
        x = inverted_residual(x, block)
        if index in network.taps:
            tapped.append(x)
    return tapped


def embeddings(network: Network, equalisations: list[Equalisation], windows: Any) -> Any:
    """[n, T, F, 1] log-mel windows to [n, T / 8, F / 8, dimension] embeddings."""
    if network.pooled:
        tapped = taps(network, windows)
        size = tapped[0].shape[1:3]
        pairs = zip(tapped, equalisations, strict=True)
        joined = [_equalised(_resized(features, size), e) for features, e in pairs]
    else:
        tapped = tapped_layers(absorbed(network, equalisations), windows)
        joined = [_resized(features, tapped[0].shape[1:3]) for features in tapped]
    return tf.concat(joined, axis=-1)


def absorbed(network: Network, equalisations: list[Equalisation]) -> Network:
    """A network whose taps are equalised by their own convolutions, and taken back after them."""
    blocks = list(network.blocks)
    for index, equalisation in zip(network.taps, equalisations, strict=True):
        tap = blocks[index].project
        scale = np.float32(equalisation.scale)
        project = replace(
            tap,
            kernel=tap.kernel * scale,
            bias=(tap.bias - equalisation.mean) * scale,
            activation="relu_n1_to_1",
        )
        blocks[index] = replace(blocks[index], project=project)
        expand = blocks[index + 1].expand if index + 1 < len(blocks) else None
        if expand is not None:
            back = replace(
                expand,
                kernel=expand.kernel / scale,
                bias=expand.bias + equalisation.mean @ expand.kernel[0, 0],
            )
            blocks[index + 1] = replace(blocks[index + 1], expand=back)
    return replace(network, blocks=tuple(blocks))


def _equalised(features: Any, equalisation: Equalisation) -> Any:
    channels, scale = len(equalisation.mean), np.float32(equalisation.scale)
    kernel = np.full((1, 1, channels, 1), scale, np.float32)
    scaled = tf.nn.depthwise_conv2d(features, kernel, (1, 1, 1, 1), "VALID")
    return activate(tf.nn.bias_add(scaled, -equalisation.mean * scale), "relu_n1_to_1")


def _resized(features: Any, size: Any) -> Any:
    return features if features.shape[1:3] == size else tf.image.resize(features, size)


def inverted_residual(x: Any, block: InvertedResidual) -> Any:
    """One block of a MobileNetV2 or V3."""
    y = x if block.expand is None else convolve(x, block.expand)
    y = convolve(y, block.depthwise)
    if block.squeeze_excite is not None:
        y = _squeeze_excite(y, block.squeeze_excite)
    y = convolve(y, block.project)
    # Where the projection is bounded, so is the sum: int8 then holds both on one scale.
    return activate(x + y, block.project.activation) if block.shortcut else y


def convolve(x: Any, layer: Convolution) -> Any:
    """One convolution with its bias and activation."""
    padding = "SAME"
    if layer.stride > 1 and layer.symmetric_padding:
        margins = [(k // 2, k // 2) for k in layer.kernel.shape[:2]]
        x = tf.pad(x, [(0, 0), *margins, (0, 0)])
        padding = "VALID"
    if layer.depthwise:
        x = tf.nn.depthwise_conv2d(x, layer.kernel, (1, layer.stride, layer.stride, 1), padding)
    else:
        x = tf.nn.conv2d(x, layer.kernel, layer.stride, padding)
    return activate(tf.nn.bias_add(x, layer.bias), layer.activation)


def activate(x: Any, activation: str) -> Any:
    """An activation by name."""
    if activation == "relu":
        return tf.nn.relu(x)
    if activation == "relu6":
        return tf.nn.relu6(x)
    if activation == "relu_n1_to_1":
        return tf.minimum(tf.maximum(x, -1.0), 1.0)
    if activation == "hard_swish":
        return x * tf.nn.relu6(x + 3.0) * (1.0 / 6.0)
    return x


def _squeeze_excite(x: Any, layer: SqueezeExcite) -> Any:
    mean = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
    squeezed = tf.nn.conv2d(mean, layer.squeeze_kernel[None, None], 1, "VALID")
    squeezed = tf.nn.relu(tf.nn.bias_add(squeezed, layer.squeeze_bias))
    excited = tf.nn.conv2d(squeezed, layer.excite_kernel[None, None], 1, "VALID")
    return x * tf.nn.sigmoid(tf.nn.bias_add(excited, layer.excite_bias))
