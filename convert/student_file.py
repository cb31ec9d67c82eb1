"""The student's weights as a file: every convolution's kernel and bias, and nothing to train.

`student.npz` holds what gets quantised. Batch normalisation is folded in; which layers there are,
and how they are joined, `convert.student` knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convert.network import Convolution, InvertedResidual
from convert.student import BLOCKS, STEM_CHANNELS, STEM_STRIDE, has_shortcut, student_network

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.lib.npyio import NpzFile

    from convert.network import Activation, Network

BOUNDED = "bounded"  # [blocks]: whether a block's output is kept within -1 and 1


def save_network(network: Network, path: Path) -> None:
    """Write kernels and biases as plain arrays."""
    arrays = {}
    for name, layer in named_layers(network):
        arrays[f"{name}.kernel"], arrays[f"{name}.bias"] = layer.kernel, layer.bias
    arrays[BOUNDED] = np.array([block.project.activation != "none" for block in network.blocks])
    np.savez_compressed(path, **arrays)


def load_network(path: Path, sha256: str) -> Network:
    """The student that `save_network` wrote.

    Raises:
        OSError, ValueError, KeyError, BadZipFile: it is not that file.
    """
    with np.load(path, allow_pickle=False) as arrays:
        bounded = arrays[BOUNDED].tolist()
        incoming, blocks = STEM_CHANNELS, []
        for index, block in enumerate(BLOCKS):
            blocks.append(_block(arrays, index, incoming, bounded=bounded[index]))
            incoming = block.channels
        return student_network(_layer(arrays, "stem", "relu6", STEM_STRIDE), tuple(blocks), sha256)


def named_layers(network: Network) -> list[tuple[str, Convolution]]:
    """Every convolution in the order in which it is reached."""
    layers = [("stem", network.stem)]
    for index, block in enumerate(network.blocks):
        parts = {"expand": block.expand, "depthwise": block.depthwise, "project": block.project}
        layers += [(f"block{index}.{name}", layer) for name, layer in parts.items() if layer]
    return layers


def _block(arrays: NpzFile, index: int, incoming: int, *, bounded: bool) -> InvertedResidual:
    block, name = BLOCKS[index], f"block{index}"
    return InvertedResidual(
        expand=None if block.expansion == 1 else _layer(arrays, f"{name}.expand", "relu6"),
        depthwise=_layer(arrays, f"{name}.depthwise", "relu6", block.stride, depthwise=True),
        squeeze_excite=None,
        project=_layer(arrays, f"{name}.project", "relu_n1_to_1" if bounded else "none"),
        shortcut=has_shortcut(block, incoming),
    )


def _layer(
    arrays: NpzFile, name: str, activation: Activation, stride: int = 1, *, depthwise: bool = False
) -> Convolution:
    return Convolution(
        np.asarray(arrays[f"{name}.kernel"], np.float32),
        np.asarray(arrays[f"{name}.bias"], np.float32),
        stride,
        activation,
        depthwise=depthwise,
        symmetric_padding=False,
    )
