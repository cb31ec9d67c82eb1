"""A MobileNetV2 of width 0.35 with fixed random weights: what `evaluate` compares others with.

Random weights alone let the signal die out or explode; so each layer is scaled and shifted such
that its output on given windows has mean 0 and variance 1 by channel, as batch normalisation would
(data-dependent initialisation, Kraehenbuehl et al., ICLR 2016).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from convert.graph import activate, convolve
from convert.mobilenet_v2 import GROUPS, TAPS
from convert.network import Activation, Convolution, InvertedResidual, Network

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

SEED = 20_251
WIDTH = 0.35
STEM_CHANNELS = 32
DIVISOR = 8
KERNEL = 3


def make_random(windows: FloatArray) -> Network:
    """Draw the network and fit its scales to windows, [n, frames, bands]."""
    draw = _Draw(np.random.default_rng(SEED))
    x = tf.constant(windows[..., None])
    stem, x = draw.layer(x, KERNEL, 1, _channels(STEM_CHANNELS), 2, "relu6")
    blocks = []
    for expansion, channels, repeats, stride in GROUPS:
        for repeat in range(repeats):
            block, x = draw.block(x, expansion, _channels(channels), 1 if repeat else stride)
            blocks.append(block)
    return Network(
        name="random",
        stem=stem,
        blocks=tuple(blocks),
        taps=(TAPS[0] - 1, TAPS[1] - 1),
        tap_names=(f"block {TAPS[0]}", f"block {TAPS[1]}"),
        source=f"fixed random weights, seed {SEED}",
        weights_sha256="",
    )


class _Draw:
    """Draws layers and carries the windows through them."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random

    def block(
        self, x: Any, expansion: int, channels: int, stride: int
    ) -> tuple[InvertedResidual, Any]:
        incoming = int(x.shape[-1])
        wide = incoming * expansion
        expand, y = self.layer(x, 1, incoming, wide, 1, "relu6") if expansion > 1 else (None, x)
        depthwise, y = self.layer(y, KERNEL, wide, wide, stride, "relu6", depthwise=True)
        project, y = self.layer(y, 1, wide, channels, 1, "none")
        shortcut = stride == 1 and incoming == channels
        return InvertedResidual(
            expand, depthwise, None, project, shortcut
        ), x + y if shortcut else y

    def layer(
        self, x: Any, size: int, incoming: int, outgoing: int, stride: int,
        activation: Activation, *, depthwise: bool = False,
    ) -> tuple[Convolution, Any]:  # fmt: skip
        shape = (size, size, incoming, 1 if depthwise else outgoing)
        kernel = self._random.standard_normal(shape).astype(np.float32)
        drawn = Convolution(kernel, np.zeros(outgoing, np.float32), stride, depthwise=depthwise)
        raw = convolve(x, drawn)
        mean, variance = (m.numpy() for m in tf.nn.moments(raw, axes=(0, 1, 2)))
        scale = 1.0 / np.sqrt(variance + 1e-6)
        by_channel = scale[:, None] if depthwise else scale
        fitted = replace(
            drawn, kernel=kernel * by_channel, bias=-mean * scale, activation=activation
        )
        return fitted, activate((raw - mean) * scale, activation)


def _channels(channels: int) -> int:
    """Rounded to a multiple of 8, never down by more than a tenth, as MobileNets do."""
    wanted = channels * WIDTH
    rounded = max(DIVISOR, int(wanted + DIVISOR / 2) // DIVISOR * DIVISOR)
    return rounded + DIVISOR if rounded < 0.9 * wanted else rounded
