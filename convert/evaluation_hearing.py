"""YAMNet's features of whole recordings, where TensorFlow may be imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from convert.evaluation_jobs import ROWS_FILE, YamNetJob, features_file
from convert.evaluation_masks import CELL_BANDS, CELL_FRAMES
from convert.graph import convolve
from convert.pretrain_sounds import read_sound
from convert.teachers import YamNet, YamNetFrontEnd, load_yamnet, yamnet_rows
from edge.errors import RecordingError
from edge.frontend import FrontEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from convert.child import Tell

    FloatArray = NDArray[np.float32]

CONTEXT_FRAMES = 64  # beyond what one feature sees, on each side
CHUNK_FRAMES = 6_000
POOL = 3


def hear(job: YamNetJob, folder: Path, tell: Tell) -> None:
    """Features of every recording, and where the map's rows lie on YAMNet's."""
    front_end = FrontEnd()
    position, inside = yamnet_rows(front_end, front_end.mel_bands // CELL_BANDS)
    np.save(folder / ROWS_FILE, np.where(inside, position, np.nan))
    network, heard = load_yamnet(Path(job.weights)), YamNetFrontEnd(front_end)
    gain = np.float32(10 ** (job.gain_db / 20))
    for number, name in enumerate(job.recordings):
        sound = read_sound(Path(name)) * gain
        frames = len(sound) // front_end.hop_length // CELL_FRAMES * CELL_FRAMES
        if frames == 0:
            raise RecordingError(f"{name}: shorter than a cell of the map")
        np.save(folder / features_file(number), _features(network, heard, sound, frames))
        tell(number + 1)


def _features(
    network: YamNet, front_end: YamNetFrontEnd, sound: FloatArray, frames: int
) -> FloatArray:
    """Layer 6, averaged over 3x3, [frames / 8, 8, 256]; both ends continue by their mirror."""
    log_mel = _log_mel(front_end, sound, frames)
    mirrored = np.pad(log_mel, ((CONTEXT_FRAMES, CONTEXT_FRAMES), (0, 0)), mode="reflect")
    context = CONTEXT_FRAMES // CELL_FRAMES
    parts = []
    for start in range(0, frames, CHUNK_FRAMES):
        chunk = mirrored[start : start + CHUNK_FRAMES + 2 * CONTEXT_FRAMES]
        x: Any = tf.constant(chunk[None, :, :, None])
        for layer in network.layers:
            x = convolve(x, layer)
        pooled = tf.nn.avg_pool2d(x, POOL, 1, "SAME").numpy()[0]
        parts.append(pooled[context : len(pooled) - context])
    return np.concatenate(parts)


def _log_mel(front_end: YamNetFrontEnd, sound: FloatArray, frames: int) -> FloatArray:
    """[frames, 64], a chunk at a time, each with a frame before and after that it is cut from."""
    hop = FrontEnd().hop_length
    parts = []
    for start in range(0, frames, CHUNK_FRAMES):
        count, before = min(CHUNK_FRAMES, frames - start), min(start, 1)
        part = sound[(start - before) * hop : (start + count + 1) * hop]
        parts.append(front_end.frames(part, before + count)[before:])
    return np.concatenate(parts)
