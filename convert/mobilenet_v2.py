"""MobileNetV2 (Sandler et al., CVPR 2018), with ImageNet weights or with random ones.

The spectrogram goes in as a grey picture. Weights come from a torchvision state dict (BSD-3) or,
without one, from Keras (Apache-2.0), which downloads them itself.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from convert.network import (
    Convolution,
    InvertedResidual,
    Network,
    fold_batch_norm,
    grey_stem,
)
from convert.torch_network import StateDict, folded_convolution, torch_layout
from convert.torch_weights import WeightsError, read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

TORCHVISION_SOURCE = "torchvision MobileNetV2 1.0 (ImageNet), BSD-3-Clause licence"
KERAS_SOURCE = "Keras MobileNetV2 1.0 (ImageNet), Apache-2.0 licence"
# expansion, channels, repeats, stride of each group of blocks, down to the deeper tap
GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1))
STRIDES = tuple(s if i == 0 else 1 for _, _, n, s in GROUPS for i in range(n))
TAPS = (6, 13)  # torchvision's features.6 and features.13
TORCH_EPSILON, KERAS_EPSILON = 1e-5, 1e-3
TORCH_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
TORCH_STD = np.array([0.229, 0.224, 0.225], np.float32)


def load_torchvision(weights: Path, sha256: str) -> Network:
    """Read the network from a torchvision state dict.

    A log-mel value x in [-1, 1] becomes the grey value (1 + x) / 2, normalised as torchvision does.

    Raises:
        WeightsError: the file is not a state dict of this network.
    """
    state = read_state_dict(weights)
    try:
        stem = grey_stem(
            _torch_layer(state, "features.0.0", "features.0.1", 2, "relu6"),
            offset=(0.5 - TORCH_MEAN) / TORCH_STD,
            slope=0.5 / TORCH_STD,
        )
        blocks = [_torch_block(state, i, stride) for i, stride in enumerate(STRIDES, start=1)]
    except KeyError as error:
        raise WeightsError(
            f"{weights}: not the weights of MobileNetV2, {error} is missing"
        ) from None
    return _network(stem, blocks, TORCHVISION_SOURCE, sha256)


def load_keras(model: Any) -> Network:
    """Take the network from `keras.applications.MobileNetV2`, whose input lies in [-1, 1]."""
    digest = hashlib.sha256(b"".join(weight.tobytes() for weight in model.get_weights()))
    stem = grey_stem(
        _keras_layer(model, "Conv1", "bn_Conv1", 2, "relu6"),
        offset=np.zeros(3, np.float32),
        slope=np.ones(3, np.float32),
    )
    blocks = [_keras_block(model, i, stride) for i, stride in enumerate(STRIDES)]
    return _network(stem, blocks, KERAS_SOURCE, digest.hexdigest())


def _network(
    stem: Convolution, blocks: list[InvertedResidual], source: str, sha256: str
) -> Network:
    return Network(
        name="mobilenet_v2",
        stem=stem,
        blocks=tuple(blocks),
        taps=(TAPS[0] - 1, TAPS[1] - 1),
        tap_names=(f"features.{TAPS[0]}", f"features.{TAPS[1]}"),
        source=source,
        weights_sha256=sha256,
    )


def _torch_block(state: StateDict, index: int, stride: int) -> InvertedResidual:
    prefix = f"features.{index}.conv"
    expands = f"{prefix}.3.weight" in state  # the project layer's batch normalisation
    step = int(expands)
    expand = _torch_layer(state, f"{prefix}.0.0", f"{prefix}.0.1", 1, "relu6") if expands else None
    depthwise = _torch_layer(
        state, f"{prefix}.{step}.0", f"{prefix}.{step}.1", stride, "relu6", depthwise=True
    )
    project = _torch_layer(state, f"{prefix}.{step + 1}", f"{prefix}.{step + 2}", 1, "none")
    return _block(expand, depthwise, project, stride)


def _torch_layer(
    state: StateDict,
    convolution: str,
    batch_norm: str,
    stride: int,
    activation: Any,
    *,
    depthwise: bool = False,
) -> Convolution:
    kernel, bias = folded_convolution(state, convolution, batch_norm, TORCH_EPSILON)
    return torch_layout(kernel, bias, stride, activation, depthwise=depthwise)


def _keras_block(model: Any, index: int, stride: int) -> InvertedResidual:
    prefix = f"block_{index}" if index else "expanded_conv"
    expand = None
    if index:
        expand = _keras_layer(model, f"{prefix}_expand", f"{prefix}_expand_BN", 1, "relu6")
    names = (f"{prefix}_depthwise", f"{prefix}_depthwise_BN")
    depthwise = _keras_layer(model, *names, stride, "relu6", depthwise=True)
    project = _keras_layer(model, f"{prefix}_project", f"{prefix}_project_BN", 1, "none")
    return _block(expand, depthwise, project, stride)


def _keras_layer(
    model: Any,
    convolution: str,
    batch_norm: str,
    stride: int,
    activation: Any,
    *,
    depthwise: bool = False,
) -> Convolution:
    """Keras lays kernels out as [height, width, in, out]; height is frequency, as in an image."""
    (kernel,) = model.get_layer(convolution).get_weights()
    norm = model.get_layer(batch_norm).get_weights()
    outwards = kernel[..., 0] if depthwise else kernel
    folded, bias = fold_batch_norm(outwards, tuple(norm), KERAS_EPSILON)
    if depthwise:
        folded = folded[..., None]
    laid_out = np.ascontiguousarray(folded.transpose(1, 0, 2, 3))
    return Convolution(
        laid_out, bias, stride, activation, depthwise=depthwise, symmetric_padding=False
    )


def _block(
    expand: Convolution | None, depthwise: Convolution, project: Convolution, stride: int
) -> InvertedResidual:
    incoming = (expand or depthwise).kernel.shape[2]
    shortcut = stride == 1 and incoming == len(project.bias)
    return InvertedResidual(expand, depthwise, None, project, shortcut)
