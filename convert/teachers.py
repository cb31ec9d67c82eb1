"""The teachers of the built-in backbone, and what they say about a second of sound.

mn04 (AudioSet, blocks 6 and 12), YAMNet (AudioSet, layer 6) and MobileNetV2 (ImageNet, blocks 6 and
13) each look at the same sound through their own front end. Their features are normalised channel
by channel and brought to the student's grids, in time and in mel frequency.

YAMNet: Plakal and Ellis, 2020, after Howard et al., "MobileNets", 2017; weights Apache-2.0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
from scipy import fft

from convert import mn04, mobilenet_v2
from convert.build import MN04_FILE, MOBILENET_FILE, YAMNET_FILE
from convert.download import file_sha256
from convert.graph import convolve, tapped_layers
from convert.network import Convolution, fold_batch_norm
from convert.torch_weights import WeightsError
from edge.frontend import FrontEnd, LogMel, band_edges_hz, hz_to_mel

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

YAMNET_STRIDES = (2, 1, 2, 1, 2, 1)
YAMNET_EPSILON = 1e-4
YAMNET_BANDS, YAMNET_LOW_HZ, YAMNET_HIGH_HZ = 64, 125.0, 7_500.0
YAMNET_LOG_OFFSET = 0.001
YAMNET_ROWS = 8
FRAMES_BEFORE_FIRST = 0.5  # of a row, half: cell centres


@dataclass(frozen=True)
class YamNet:
    """The first six layers: a convolution, then five of depthwise and pointwise."""

    layers: tuple[Convolution, ...]


def load_yamnet(path: Path) -> YamNet:
    """Read the layers from a Keras 2 h5 file.

    Raises:
        WeightsError: not that file.
    """
    import h5py  # noqa: PLC0415  (comes with TensorFlow)

    try:
        with h5py.File(path) as file:
            root = file["model_weights/model_2"]
            layers = [_yamnet_layer(root["layer1/conv"], "kernel:0", YAMNET_STRIDES[0])]
            for index, stride in enumerate(YAMNET_STRIDES[1:], start=2):
                depthwise = root[f"layer{index}/depthwise_conv"]
                layers.append(_yamnet_layer(depthwise, "depthwise_kernel:0", stride))
                pointwise = root[f"layer{index}/pointwise_conv"]
                layers.append(_yamnet_layer(pointwise, "kernel:0", 1))
    except (OSError, KeyError) as error:
        raise WeightsError(f"{path}: not YAMNet's first layers ({error})") from None
    return YamNet(tuple(layers))


def _yamnet_layer(group: Any, kernel_name: str, stride: int) -> Convolution:
    kernel = np.asarray(group[kernel_name], np.float32)
    norm = {n: np.asarray(group[f"bn/{n}:0"]) for n in ("beta", "moving_mean", "moving_variance")}
    ones = np.ones_like(norm["beta"])
    depthwise = kernel_name.startswith("depthwise")
    folded, bias = fold_batch_norm(
        kernel[..., 0] if depthwise else kernel,
        (ones, norm["beta"], norm["moving_mean"], norm["moving_variance"]),
        YAMNET_EPSILON,
    )
    return Convolution(
        folded[..., None] if depthwise else folded,
        bias,
        stride,
        "relu",
        depthwise=depthwise,
        symmetric_padding=False,
    )


class Teachers:
    """All teachers, ready to be asked.

    Args:
        weights: the folder that holds their three files.

    Raises:
        WeightsError: one is missing or is something else.
    """

    def __init__(self, weights: Path) -> None:
        paths = [weights / name for name in (MN04_FILE, YAMNET_FILE, MOBILENET_FILE)]
        missing = [str(path) for path in paths if not path.is_file()]
        if missing:
            raise WeightsError(f"teachers are missing: {', '.join(missing)}")
        self.digests = {path.name: file_sha256(path) for path in paths}
        self._mn04 = mn04.load(paths[0], self.digests[MN04_FILE])
        self._yamnet = load_yamnet(paths[1])
        self._mobilenet = mobilenet_v2.load_torchvision(paths[2], self.digests[MOBILENET_FILE])
        self._ask = tf.function(self._features, reduce_retracing=True)

    def features(self, log_mel: FloatArray, yamnet_mel: FloatArray) -> list[FloatArray]:
        """What they say about windows: [n, frames, 128] and [n, frames, 64].

        Returns:
            mn04 block 6, MobileNetV2 block 6, YAMNet layer 6 (all at a stride of 8 frames; YAMNet
            on its own mel rows), mn04 block 12, MobileNetV2 block 13 (at a stride of 16).
        """
        answers = self._ask(tf.constant(log_mel[..., None]), tf.constant(yamnet_mel[..., None]))
        return [answer.numpy() for answer in answers]

    def _features(self, log_mel: Any, yamnet_mel: Any) -> list[Any]:
        heard = yamnet_mel
        for layer in self._yamnet.layers:
            heard = convolve(heard, layer)
        mn_fine, mn_coarse = tapped_layers(self._mn04, log_mel)
        image_fine, image_coarse = tapped_layers(self._mobilenet, log_mel)
        return [mn_fine, image_fine, heard, mn_coarse, image_coarse]


class YamNetFrontEnd:
    """YAMNet's log-mel spectrogram from sound at 32 kHz, on the same frames as `LogMel`.

    A 1024-point spectrum at 32 kHz has the bins of YAMNet's own 512 points at 16 kHz; twice as many
    samples lie under the window, hence the factor of one half.
    """

    def __init__(self, front_end: FrontEnd) -> None:
        self._front_end = front_end
        self._window = np.hanning(front_end.frame_length + 1)[:-1].astype(np.float32)
        bins_hz = np.arange(front_end.fft_size // 2 + 1)
        bins = hz_to_mel(bins_hz * front_end.sample_rate_hz / front_end.fft_size)[:, None]
        edges = np.linspace(hz_to_mel(YAMNET_LOW_HZ), hz_to_mel(YAMNET_HIGH_HZ), YAMNET_BANDS + 2)
        rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
        self._filters = np.maximum(0, np.minimum(rising, falling)).astype(np.float32)

    def frames(self, sound: FloatArray, count: int) -> FloatArray:
        """`count` frames of `sound`, [count, 64]; sound continues to the left by its mirror."""
        front_end = self._front_end
        lead = (front_end.frame_length - front_end.hop_length) // 2
        padded = np.pad(sound, (lead, front_end.frame_length), mode="reflect")
        views = np.lib.stride_tricks.sliding_window_view(padded, front_end.frame_length)
        spectrum = fft.rfft(
            views[:: front_end.hop_length][:count] * self._window, n=front_end.fft_size
        )
        mel = (0.5 * np.abs(spectrum)).astype(np.float32) @ self._filters
        return np.asarray(np.log(mel + np.float32(YAMNET_LOG_OFFSET)))


def log_mel_frames(
    sound: FloatArray, front_end: FrontEnd, count: int, limit_hz: float
) -> FloatArray:
    """`count` frames of the product's own front end, silent above `limit_hz`."""
    stream = LogMel(front_end, limit_hz=limit_hz)
    stream.push(sound)
    return stream.finish()[:count]


def yamnet_rows(front_end: FrontEnd, rows: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where the student's rows lie on YAMNet's, in YAMNet rows, and which lie within its range."""
    edges = hz_to_mel(band_edges_hz(front_end))
    bands = (len(edges) - 1) // rows
    centres = edges[bands // 2 :: bands][:rows]
    low, high = hz_to_mel(YAMNET_LOW_HZ), hz_to_mel(YAMNET_HIGH_HZ)
    position = (centres - low) / (high - low) * YAMNET_ROWS - FRAMES_BEFORE_FIRST
    inside = (centres >= low) & (centres <= high)
    return np.clip(position, 0, YAMNET_ROWS - 1), inside


def to_student_rows(features: FloatArray, position: NDArray[np.float64]) -> FloatArray:
    """Interpolate YAMNet's rows at the student's. [n, columns, 8, c] -> [n, columns, rows, c]."""
    below = np.floor(position).astype(int)
    above = np.minimum(below + 1, YAMNET_ROWS - 1)
    share = (position - below).astype(np.float32)[:, None]
    return np.asarray(features[:, :, below] * (1 - share) + features[:, :, above] * share)
