"""The student: a MobileNetV2 made for int8, whose two taps say what the teachers would.

Inverted residuals with ReLU6 and linear outputs (Sandler et al., CVPR 2018); no squeeze-excite and
no hard-swish, which lose the most in int8. The taps are the linear outputs themselves, so that a
distance between embeddings is a distance between what the teachers would have said.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
from keras import layers

from convert.network import Convolution, InvertedResidual, Network, fold_batch_norm

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

WINDOW = (96, 128)
STEM_CHANNELS, STEM_KERNEL, STEM_STRIDE = 32, 8, 4
EPSILON = 1e-3
MOMENTUM = 0.98


class Block(NamedTuple):
    """One inverted residual; a tap's output is linear and has no shortcut."""

    expansion: int
    channels: int
    stride: int = 1
    kernel: int = 3
    tap: bool = False


FINE_CHANNELS, COARSE_CHANNELS = 48, 64
# A patch-like stem at a stride of 4 skips the two finest grids, where small channels cost the most.
# Where the stride is even, so is the kernel: then every cell looks at its own middle.
BLOCKS = (
    Block(1, 48, stride=2, kernel=4),
    Block(3, 48),
    Block(3, FINE_CHANNELS, tap=True),
    Block(3, 72, stride=2, kernel=4),
    Block(4, 72),
    Block(4, 72),
    Block(3, COARSE_CHANNELS, tap=True),
)
NAME = "student"
SOURCE = "earpatch student, distilled from mn04, YAMNet and MobileNetV2; Apache-2.0 licence"


def make_student(seed: int) -> Any:
    """The trainable model: [n, 96, 128, 1] to [n, 12, 16, 48] and [n, 6, 8, 64]."""
    keras.utils.set_random_seed(seed)
    windows = keras.Input((*WINDOW, 1))
    x = _layer(windows, "stem", STEM_CHANNELS, kernel=STEM_KERNEL, stride=STEM_STRIDE)
    taps = []
    for index, block in enumerate(BLOCKS):
        x = _block(x, f"block{index}", block)
        if block.tap:
            taps.append(x)
    return keras.Model(windows, taps)


def to_network(model: Any) -> Network:
    """The trained model as plain arrays, batch normalisation folded in."""
    stem = _folded(model, "stem", STEM_STRIDE, "relu6")
    blocks = tuple(_folded_block(model, f"block{i}", block) for i, block in enumerate(BLOCKS))
    return student_network(stem, blocks, "")


def student_network(
    stem: Convolution, blocks: tuple[InvertedResidual, ...], sha256: str
) -> Network:
    """The student from its layers, which come from a file of that SHA-256."""
    fine, coarse = (i for i, block in enumerate(BLOCKS) if block.tap)
    return Network(
        name=NAME,
        stem=stem,
        blocks=blocks,
        taps=(fine, coarse),
        tap_names=(f"block {fine}", f"block {coarse}"),
        source=SOURCE,
        weights_sha256=sha256,
        pooled=False,  # measured: sharper without, and no better with
    )


def save_weights(model: Any, path: Path) -> None:
    """Write all that was trained as plain arrays, batch normalisation by itself."""
    arrays = {f"{i:03d}": np.asarray(w, np.float32) for i, w in enumerate(model.get_weights())}
    np.savez_compressed(path, **arrays)


def load_weights(path: Path, seed: int = 0) -> Any:
    """The model with the weights that `save_weights` wrote."""
    model = make_student(seed)
    with np.load(path, allow_pickle=False) as arrays:
        model.set_weights([arrays[name] for name in sorted(arrays.files)])
    return model


def _block(x: Any, name: str, block: Block) -> Any:
    incoming = int(x.shape[-1])
    wide = incoming * block.expansion
    y = x if block.expansion == 1 else _layer(x, f"{name}_expand", wide)
    y = layers.DepthwiseConv2D(
        block.kernel, block.stride, "same", use_bias=False, name=f"{name}_depthwise"
    )(y)
    y = layers.BatchNormalization(
        momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_depthwise_norm"
    )(y)
    y = layers.ReLU(6.0)(y)
    y = _layer(y, f"{name}_project", block.channels, linear=True)
    return layers.Add()([x, y]) if has_shortcut(block, incoming) else y


def _layer(
    x: Any, name: str, channels: int, *, kernel: int = 1, stride: int = 1, linear: bool = False
) -> Any:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, epsilon=EPSILON, name=f"{name}_norm")(x)
    return x if linear else layers.ReLU(6.0)(x)


def has_shortcut(block: Block, incoming: int) -> bool:
    """Whether a block adds its input to its output."""
    return block.stride == 1 and incoming == block.channels and not block.tap


def _folded_block(model: Any, name: str, block: Block) -> InvertedResidual:
    expand = None if block.expansion == 1 else _folded(model, f"{name}_expand", 1, "relu6")
    depthwise = _folded(model, f"{name}_depthwise", block.stride, "relu6", depthwise=True)
    project = _folded(model, f"{name}_project", 1, "none")
    incoming = (expand or depthwise).kernel.shape[2]
    return InvertedResidual(expand, depthwise, None, project, has_shortcut(block, incoming))


def _folded(
    model: Any, name: str, stride: int, activation: Any, *, depthwise: bool = False
) -> Convolution:
    (kernel,) = model.get_layer(name).get_weights()
    norm = tuple(model.get_layer(f"{name}_norm").get_weights())
    folded, bias = fold_batch_norm(kernel[..., 0] if depthwise else kernel, norm, EPSILON)
    return Convolution(
        folded[..., None] if depthwise else folded,
        bias,
        stride,
        activation,
        depthwise=depthwise,
        symmetric_padding=False,
    )
