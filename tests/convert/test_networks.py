"""Networks from their authors' weights: the same numbers that the authors' own code gives."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from convert import mn04
from convert.download import file_sha256
from convert.mobilenet_v2 import load_torchvision
from convert.network import Convolution, fold_batch_norm, grey_stem
from convert.torch_network import folded_convolution, torch_layout
from convert.torch_weights import WeightsError
from tests.convert.torch_files import archive, state_dict, tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from convert.network import Network

    FloatArray = NDArray[np.float32]

MN04, MOBILENET_V2 = "mn04_as_mAP_432.pt", "mobilenet_v2-b0353104.pth"
CHILD_S = 300.0
COMPARE_WITH_KERAS = """
import numpy as np
import tensorflow as tf
from keras import Model
from keras.applications import MobileNetV2
from convert.graph import taps
from convert.mobilenet_v2 import load_keras

random = np.random.default_rng(1)
keras = MobileNetV2(input_shape=(128, 96, 3), include_top=False, weights=None)
for layer in keras.layers:
    if "BN" in layer.name or layer.name == "bn_Conv1":
        gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
        layer.set_weights([
            random.uniform(0.5, 1.5, gamma), random.normal(0, 0.3, beta),
            random.normal(0, 0.3, mean), random.uniform(0.5, 2.0, variance),
        ])
window = random.uniform(-1, 1, (2, 96, 128, 1)).astype(np.float32)
picture = np.repeat(window.transpose(0, 2, 1, 3), 3, axis=3)
outputs = [keras.get_layer(name).output for name in ("block_5_add", "block_12_add")]
theirs = Model(keras.input, outputs)(picture)
ours = taps(load_keras(keras), tf.constant(window))
for own, other in zip(ours, theirs, strict=True):
    pooled = tf.nn.avg_pool2d(tf.transpose(other, (0, 2, 1, 3)), 3, 1, "SAME")
    print(float(tf.reduce_max(tf.abs(own - pooled))), float(tf.math.reduce_std(pooled)), *own.shape)
"""


def normal(*shape: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def positive(size: int) -> FloatArray:
    return np.random.default_rng(9).uniform(0.2, 3.0, size).astype(np.float32)


def test_a_folded_batch_normalisation_is_the_convolution_and_then_the_normalisation() -> None:
    kernel, x = normal(3, 3, 4, 6), normal(3, 3, 4, seed=1)
    gamma, beta, mean, variance = (
        normal(6, seed=2),
        normal(6, seed=3),
        normal(6, seed=4),
        positive(6),
    )
    epsilon = 1e-3
    direct = np.einsum("tfi,tfio->o", x, kernel)
    direct = gamma * (direct - mean) / np.sqrt(variance + epsilon) + beta
    folded, bias = fold_batch_norm(kernel, (gamma, beta, mean, variance), epsilon)
    assert np.einsum("tfi,tfio->o", x, folded) + bias == pytest.approx(direct, abs=1e-4)
    assert folded.dtype == bias.dtype == np.float32


def test_epsilon_counts_where_the_variance_is_small() -> None:
    one, zero = np.ones(1, np.float32), np.zeros(1, np.float32)
    kernel, _ = fold_batch_norm(np.ones((1, 1, 1, 1), np.float32), (one, zero, zero, zero), 0.25)
    assert kernel.item() == pytest.approx(2.0)


def test_a_pytorch_layer_is_laid_out_with_time_along_the_height() -> None:
    """PyTorch's kernel is [out, in, frequency, time], its picture [frequency, time]."""
    state = {"c.weight": normal(5, 4, 3, 2)} | {
        f"b.{name}": values
        for name, values in {
            "weight": np.ones(5, np.float32),
            "bias": np.zeros(5, np.float32),
            "running_mean": np.zeros(5, np.float32),
            "running_var": np.ones(5, np.float32),
        }.items()
    }
    kernel, bias = folded_convolution(state, "c", "b", 0.0)
    layer = torch_layout(kernel, bias, 1, "relu")
    assert layer.kernel.shape == (2, 3, 4, 5)
    assert layer.kernel[1, 2, 3, 4] == state["c.weight"][4, 3, 2, 1]


def test_a_depthwise_pytorch_kernel_keeps_its_channels_third() -> None:
    kernel = normal(6, 1, 5, 3)
    layer = torch_layout(kernel, np.zeros(6, np.float32), 2, "relu6", depthwise=True)
    assert layer.kernel.shape == (3, 5, 6, 1)
    assert layer.kernel[2, 4, 5, 0] == kernel[5, 0, 4, 2]


def test_a_grey_stem_sees_what_three_equal_channels_would_show() -> None:
    stem = Convolution(normal(3, 3, 3, 8), normal(8, seed=1), 2, "relu6")
    offset, slope = normal(3, seed=2), normal(3, seed=3)
    grey = grey_stem(stem, offset, slope)
    x = normal(3, 3, seed=4)
    colour = offset + slope * x[..., None]
    expected = np.einsum("tfi,tfio->o", colour, stem.kernel) + stem.bias
    assert np.einsum("tf,tfo->o", x, grey.kernel[:, :, 0]) + grey.bias == pytest.approx(
        expected, abs=1e-4
    )
    assert (grey.stride, grey.activation) == (2, "relu6")


def check_shapes(network: Network) -> None:
    """Every layer takes what the one before gives; the taps lie at strides of 8 and 16."""
    assert network.stem.kernel.shape[2] == 1
    channels, stride = len(network.stem.bias), network.stem.stride
    strides = []
    for block in network.blocks:
        layers = [layer for layer in (block.expand, block.depthwise, block.project) if layer]
        assert layers[0].kernel.shape[2] == channels
        assert block.depthwise.kernel.shape[2:] == (len(block.depthwise.bias), 1)
        assert block.project.kernel.shape[:3] == (1, 1, len(block.depthwise.bias))
        assert block.shortcut == (
            block.depthwise.stride == 1 and channels == len(block.project.bias)
        )
        channels, stride = len(block.project.bias), stride * block.depthwise.stride
        strides.append(stride)
        for layer in layers:
            assert layer.kernel.dtype == layer.bias.dtype == np.float32
            assert np.isfinite(layer.kernel).all()
            assert np.isfinite(layer.bias).all()
    assert [strides[tap] for tap in network.taps] == [8, 16]


def tap_channels(network: Network) -> list[int]:
    return [len(network.blocks[tap].project.bias) for tap in network.taps]


def test_mn04_loads_from_its_authors_file(shared: Path) -> None:
    path = shared / "weights" / MN04
    assert file_sha256(path) == mn04.SHA256
    network = mn04.load(path, mn04.SHA256)
    check_shapes(network)
    assert tap_channels(network) == [16, 48]
    squeezed = [i for i, block in enumerate(network.blocks, start=1) if block.squeeze_excite]
    assert squeezed == [4, 5, 6, 11, 12]  # as in MobileNetV3-large
    assert {block.depthwise.kernel.shape[0] for block in network.blocks} == {3, 5}


def test_mobilenet_v2_loads_from_torchvision_s_file(shared: Path) -> None:
    network = load_torchvision(shared / "weights" / MOBILENET_V2, "abc")
    check_shapes(network)
    assert tap_channels(network) == [32, 96]
    assert [block.expand is None for block in network.blocks] == [True] + [False] * 12
    assert network.weights_sha256 == "abc"


@pytest.mark.parametrize("load", [mn04.load, load_torchvision])
def test_a_state_dict_of_another_network_is_refused_with_what_is_missing(
    tmp_path: Path, load: object
) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(archive(state_dict(weight=tensor())))
    assert callable(load)
    with pytest.raises(WeightsError, match=r"other\.pt: not the weights of .* is missing"):
        load(path, "")


def test_the_two_networks_weights_are_not_confused(shared: Path) -> None:
    with pytest.raises(WeightsError, match="not the weights of mn04"):
        mn04.load(shared / "weights" / MOBILENET_V2, "")
    with pytest.raises(WeightsError, match="not the weights of MobileNetV2"):
        load_torchvision(shared / "weights" / MN04, "")


def test_keras_mobilenet_v2_gives_the_same_features_as_keras_itself() -> None:
    """In a child, since TensorFlow and tflite-runtime don't share a process."""
    done = subprocess.run(
        [sys.executable, "-c", COMPARE_WITH_KERAS],
        capture_output=True, text=True, timeout=CHILD_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2_000:]
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[2:] for line in lines] == [["2", "12", "16", "32"], ["2", "6", "8", "96"]]
    for difference, spread, *_ in lines:
        assert float(difference) < 1e-3
        assert float(spread) > 0.1
