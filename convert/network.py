"""A MobileNet as plain numpy arrays: what every source of weights is turned into.

Batch normalisation is folded into the convolutions, kernels are laid out for a spectrogram with
time along the height and mel frequency along the width: [time, frequency, in, out].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

Activation = Literal["none", "relu", "relu6", "hard_swish", "relu_n1_to_1"]


@dataclass(frozen=True)
class Convolution:
    """A convolution with its folded batch normalisation and its activation."""

    kernel: FloatArray  # [time, frequency, in, out]; depthwise: [time, frequency, channels, 1]
    bias: FloatArray  # [out]
    stride: int = 1
    activation: Activation = "none"
    depthwise: bool = False
    symmetric_padding: bool = True  # as PyTorch pads; False as TensorFlow does with stride 2


@dataclass(frozen=True)
class SqueezeExcite:
    """Channel attention (Hu et al., 2018): mean, squeeze, ReLU, excite, sigmoid."""

    squeeze_kernel: FloatArray  # [channels, squeezed]
    squeeze_bias: FloatArray
    excite_kernel: FloatArray  # [squeezed, channels]
    excite_bias: FloatArray


@dataclass(frozen=True)
class InvertedResidual:
    """Expand, depthwise, squeeze-excite where there is one, project; a shortcut where it fits."""

    expand: Convolution | None
    depthwise: Convolution
    squeeze_excite: SqueezeExcite | None
    project: Convolution
    shortcut: bool


@dataclass(frozen=True)
class Network:
    """A MobileNet down to its deepest tap.

    `taps` index into `blocks`: the first at a stride of 8, the second at a stride of 16.
    """

    name: str
    stem: Convolution
    blocks: tuple[InvertedResidual, ...]
    taps: tuple[int, int]
    tap_names: tuple[str, str]
    source: str
    weights_sha256: str
    pooled: bool = True  # whether taps are averaged over 3x3 cells, as PatchCore does


def fold_batch_norm(
    kernel: FloatArray,
    batch_norm: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
    epsilon: float,
) -> tuple[FloatArray, FloatArray]:
    """Kernel [..., out] and (gamma, beta, mean, variance) -> kernel and bias."""
    gamma, beta, mean, variance = batch_norm
    scale = gamma / np.sqrt(variance + epsilon)
    return (kernel * scale).astype(np.float32), (beta - mean * scale).astype(np.float32)


def grey_stem(stem: Convolution, offset: FloatArray, slope: FloatArray) -> Convolution:
    """Fold three equal colour channels, each `slope * x + offset`, into one input channel.

    A spectrogram has one channel; the three that an ImageNet network expects would be copies of
    it. At the border this pads with x = 0 instead of with the mean colour, which is close by.
    """
    bias = stem.bias + np.einsum("tfio,i->o", stem.kernel, offset)
    kernel = np.einsum("tfio,i->tfo", stem.kernel, slope)[:, :, None, :]
    return Convolution(
        kernel.astype(np.float32),
        bias.astype(np.float32),
        stem.stride,
        stem.activation,
        symmetric_padding=stem.symmetric_padding,
    )
