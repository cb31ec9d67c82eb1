"""EfficientAT's `mn04_as`: a MobileNetV3-large of width 0.4, trained on AudioSet.

Schmid, Koutini and Widmer, "Efficient large-scale audio tagging via transformer-to-CNN knowledge
distillation", ICASSP 2023; Howard et al., "Searching for MobileNetV3", 2019. Weights: MIT licence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convert.network import Activation, Convolution, InvertedResidual, Network, SqueezeExcite
from convert.torch_network import StateDict, folded_convolution, torch_layout
from convert.torch_weights import WeightsError, read_state_dict

if TYPE_CHECKING:
    from pathlib import Path

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
    depthwise = _convolution(state, f"{prefix}.{step}", stride, activation, depthwise=True)
    incoming = (expand or depthwise).kernel.shape[2]
    shortcut = stride == 1 and incoming == len(project.bias)
    return InvertedResidual(expand, depthwise, squeeze, project, shortcut)


def _convolution(
    state: StateDict,
    prefix: str,
    stride: int = 1,
    activation: Activation = "none",
    *,
    depthwise: bool = False,
) -> Convolution:
    kernel, bias = folded_convolution(state, f"{prefix}.0", f"{prefix}.1", BATCH_NORM_EPSILON)
    return torch_layout(kernel, bias, stride, activation, depthwise=depthwise)


def _squeeze_excite(state: StateDict, prefix: str) -> SqueezeExcite | None:
    if f"{prefix}.fc1.weight" not in state:
        return None
    return SqueezeExcite(
        np.ascontiguousarray(state[f"{prefix}.fc1.weight"].T),
        state[f"{prefix}.fc1.bias"],
        np.ascontiguousarray(state[f"{prefix}.fc2.weight"].T),
        state[f"{prefix}.fc2.bias"],
    )
