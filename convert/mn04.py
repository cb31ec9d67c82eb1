"""EfficientAT's `mn04_as`: a MobileNetV3-large of width 0.4, trained on AudioSet.

Schmid, Koutini and Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge
distillation", ICASSP 2023; Howard et al., "Searching for MobileNetV3", 2019. Weights: MIT licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convert.network import (
    Activation,
    Convolution,
    InvertedResidual,
    Network,
    SqueezeExcite,
    fold_batch_norm,
)
from convert.torch_weights import WeightsError, read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    StateDict = dict[str, NDArray[Any]]

URL = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/mn04_as_mAP_432.pt"
SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"
SOURCE = "EfficientAT mn04_as (AudioSet), MIT licence"
BATCH_NORM_EPSILON = 1e-3
# stride and activation of features.1 to features.12; kernels and widths are in the weights.
STRIDES = (1, 2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1)
HARD_SWISH_FROM = 7
TAPS = (6, 12)


def load(weights: Path, sha256: str) -> Network:
    """Read the network from its state dict.

    Raises:
        WeightsError: the file is not a state dict of this network.
    """
    state = read_state_dict(weights)
    try:
        stem = _convolution(state, "features.0", 2, "hard_swish")
        blocks = tuple(_block(state, i, stride) for i, stride in enumerate(STRIDES, start=1))
    except KeyError as error:
        raise WeightsError(f"{weights}: not the weights of mn04, {error} is missing") from None
    return Network(
        name="mn04",
        stem=stem,
        blocks=blocks,
        taps=(TAPS[0] - 1, TAPS[1] - 1),
        tap_names=(f"features.{TAPS[0]}", f"features.{TAPS[1]}"),
        source=SOURCE,
        weights_sha256=sha256,
    )


def _block(state: StateDict, index: int, stride: int) -> InvertedResidual:
    activation: Activation = "hard_swish" if index >= HARD_SWISH_FROM else "relu"
    prefix = f"features.{index}.block"
    expands = state[f"{prefix}.0.0.weight"].shape[-1] == 1
    step = int(expands)
    squeeze = _squeeze_excite(state, f"{prefix}.{step + 1}.conc_se_layers.0")
    project = _convolution(state, f"{prefix}.{step + 1 + (squeeze is not None)}")
    expand = _convolution(state, f"{prefix}.0", activation=activation) if expands else None
    depthwise = _convolution(state, f"{prefix}.{step}", stride, activation)
    incoming = (expand or depthwise).kernel.shape[2]
    shortcut = stride == 1 and incoming == len(project.bias)
    return InvertedResidual(expand, depthwise, squeeze, project, shortcut)


def _convolution(
    state: StateDict, prefix: str, stride: int = 1, activation: Activation = "none"
) -> Convolution:
    return torch_convolution(
        state, f"{prefix}.0", f"{prefix}.1", BATCH_NORM_EPSILON, stride, activation
    )


def torch_convolution(
    state: StateDict,
    convolution: str,
    batch_norm: str,
    epsilon: float,
    stride: int,
    activation: Activation,
) -> Convolution:
    """A convolution and its batch normalisation from a PyTorch state dict.

    PyTorch lays kernels out as [out, in / groups, frequency, time].
    """
    weight = state[f"{convolution}.weight"]
    depthwise = weight.shape[1] == 1 and weight.shape[0] > 1 and weight.shape[2] > 1
    names = ("weight", "bias", "running_mean", "running_var")
    gamma, beta, mean, variance = (state[f"{batch_norm}.{name}"] for name in names)
    kernel, bias = fold_batch_norm(
        weight.transpose(3, 2, 1, 0), (gamma, beta, mean, variance), epsilon
    )
    stem = convolution.startswith("features.0")
    if depthwise and not stem:
        kernel = kernel.transpose(0, 1, 3, 2)
    return Convolution(
        np.ascontiguousarray(kernel), bias, stride, activation, depthwise=depthwise and not stem
    )


def _squeeze_excite(state: StateDict, prefix: str) -> SqueezeExcite | None:
    if f"{prefix}.fc1.weight" not in state:
        return None
    return SqueezeExcite(
        np.ascontiguousarray(state[f"{prefix}.fc1.weight"].T),
        state[f"{prefix}.fc1.bias"],
        np.ascontiguousarray(state[f"{prefix}.fc2.weight"].T),
        state[f"{prefix}.fc2.bias"],
    )
