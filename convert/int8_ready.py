"""Rewriting a network so that int8 holds it better, without changing what it says.

1. Every linear space is turned into a random orthonormal basis, as in QuaRot (Ashkboos et al.,
   NeurIPS 2024): distances stay, no channel is much wider than the others, and the one scale of a
   tensor fits all of them.
2. Every ReLU6 channel is scaled until its largest values reach 6, and what reads it is scaled back:
   cross-layer equalisation (Nagel et al., "Data-Free Quantization", ICCV 2019).
3. Every linear output but the taps is scaled into -1 to 1 and cut off there; blocks that add their
   input to their output share one scale. The taps are bounded when they are equalised.

The first two are exact; of the values that the last cuts off there are `BEYOND` at most.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from convert.graph import convolve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convert.network import Convolution, InvertedResidual, Network

    FloatArray = NDArray[np.float32]

BATCH = 32
CEILING = 6.0  # of ReLU6
AT_CEILING = 0.9999  # of a channel's values lie below it
BEYOND = 1e-3  # share of a linear output's values, in the widest batch
MOST_GAIN = 100.0  # of a channel that hardly ever answers: its biases have to fit into int32


@dataclass(frozen=True)
class Ready:
    """A network, and the bases in which its taps now answer."""

    network: Network
    bases: tuple[FloatArray, FloatArray]  # [channels, channels]: old answer @ basis = new answer


def make_ready(network: Network, windows: FloatArray, seed: int) -> Ready:
    """All three steps. Windows, [n, frames, bands], give the ranges.

    Squeeze-excite is not known here: the student has none.
    """
    turned = rotated(network, seed)
    return Ready(bounded(ranged(turned.network, windows), windows), turned.bases)


def rotated(network: Network, seed: int) -> Ready:
    """Step 1."""
    random = np.random.default_rng(seed)
    bases: list[FloatArray] = []
    blocks = []
    for block in network.blocks:
        expand = block.expand
        if expand is not None and bases:
            expand = replace(expand, kernel=bases[-1].T @ expand.kernel)
        channels = len(block.project.bias)
        bases.append(bases[-1] if block.shortcut else _orthonormal(channels, random))
        blocks.append(replace(block, expand=expand, project=_turned(block.project, bases[-1])))
    fine, coarse = network.taps
    return Ready(replace(network, blocks=tuple(blocks)), (bases[fine], bases[coarse]))


def ranged(network: Network, windows: FloatArray) -> Network:
    """Step 2."""
    seen = _Seen(network, windows)
    before = seen.gain("stem")
    stem = _scaled_out(network.stem, before)
    blocks = []
    for index, block in enumerate(network.blocks):
        expand = block.expand
        if expand is not None:
            before = seen.gain(f"{index} expand")
            expand = _scaled_out(expand, before)
        within = seen.gain(f"{index} depthwise")
        depthwise = _scaled_out(_scaled_in(block.depthwise, before), within)
        project = _scaled_in(block.project, within)
        blocks.append(replace(block, expand=expand, depthwise=depthwise, project=project))
    return replace(network, stem=stem, blocks=tuple(blocks))


def bounded(network: Network, windows: FloatArray) -> Network:
    """Step 3."""
    widest = _Seen(network, windows).widest
    blocks = list(network.blocks)
    for start, end in _spaces(network):
        if end - 1 in network.taps:
            continue
        scale = np.float32(max(widest[start:end]))
        for index in range(start, end):
            project = blocks[index].project
            small = replace(
                project,
                kernel=project.kernel / scale,
                bias=project.bias / scale,
                activation="relu_n1_to_1",
            )
            blocks[index] = replace(blocks[index], project=small)
            reader = blocks[index + 1].expand if index + 1 < len(blocks) else None
            if reader is not None:
                back = replace(reader, kernel=reader.kernel * scale)
                blocks[index + 1] = replace(blocks[index + 1], expand=back)
    return replace(network, blocks=tuple(blocks))


def _spaces(network: Network) -> list[tuple[int, int]]:
    """Ranges of blocks whose outputs are added to each other."""
    starts = [i for i, block in enumerate(network.blocks) if not block.shortcut]
    return list(zip(starts, [*starts[1:], len(network.blocks)], strict=True))


class _Seen:
    """What windows make of every layer."""

    def __init__(self, network: Network, windows: FloatArray) -> None:
        self._quantiles: dict[str, list[FloatArray]] = {}
        self.widest = [0.0] * len(network.blocks)  # of a block's projection and of its output
        for start in range(0, len(windows), BATCH):
            x = convolve(tf.constant(windows[start : start + BATCH, :, :, None]), network.stem)
            self._note("stem", x)
            for index, block in enumerate(network.blocks):
                x = self._block(index, block, x)

    def gain(self, layer: str) -> FloatArray:
        """By which each channel may be scaled up, [channels]; from 1 to `MOST_GAIN`."""
        highest = np.max(self._quantiles[layer], axis=0)
        lowest = CEILING / MOST_GAIN
        return np.asarray(np.maximum(CEILING / np.maximum(highest, lowest), 1.0), np.float32)

    def _block(self, index: int, block: InvertedResidual, x: tf.Tensor) -> tf.Tensor:
        y = x
        if block.expand is not None:
            y = convolve(y, block.expand)
            self._note(f"{index} expand", y)
        y = convolve(y, block.depthwise)
        self._note(f"{index} depthwise", y)
        y = convolve(y, block.project)
        joined = x + y if block.shortcut else y
        reached = [float(np.quantile(np.abs(part.numpy()), 1 - BEYOND)) for part in (y, joined)]
        self.widest[index] = max(self.widest[index], *reached)
        return joined

    def _note(self, layer: str, x: tf.Tensor) -> None:
        flat = x.numpy().reshape(-1, x.shape[-1])
        quantile = np.quantile(flat, AT_CEILING, axis=0)
        self._quantiles.setdefault(layer, []).append(quantile)


def _orthonormal(channels: int, random: np.random.Generator) -> FloatArray:
    basis, _ = np.linalg.qr(random.standard_normal((channels, channels)))
    return np.asarray(basis, np.float32)


def _turned(layer: Convolution, basis: FloatArray) -> Convolution:
    return replace(layer, kernel=layer.kernel @ basis, bias=layer.bias @ basis)


def _scaled_out(layer: Convolution, scale: FloatArray) -> Convolution:
    by_channel = scale[:, None] if layer.depthwise else scale
    return replace(layer, kernel=layer.kernel * by_channel, bias=layer.bias * scale)


def _scaled_in(layer: Convolution, scale: FloatArray) -> Convolution:
    return replace(layer, kernel=layer.kernel / scale[:, None])
