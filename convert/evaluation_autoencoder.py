"""The autoencoder that the DCASE challenges start from, as a system.

Koizumi et al., "Description and discussion on DCASE2020 Challenge Task 2", DCASE 2020: five frames
of 128 log-mel bands through dense layers of 128 (four), 8 and 128 (four) units with batch
normalisation and ReLU; Adam at 0.001, batches of 512, 100 epochs, mean squared error.

The original's frames are 64 ms long and 32 ms apart. Here they are the product's own, 25 ms long
and 10 ms apart, so that the map has its cells; every third one is taken, so that five of them look
at about as much time. All normal sound is trained on, none is kept for validation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from convert.evaluation_baselines import by_cell, log_mel
from convert.evaluation_jobs import FRAMES_FILE, LAYERS_FILE, STARTS_FILE, AutoencoderJob, ask
from convert.evaluation_systems import Judgement
from edge.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

OFFSETS = (0, 3, 6, 9, 12)
FEWEST_FRAMES = OFFSETS[-1] + OFFSETS[1]  # then every frame is looked at
EPOCHS = 100


class DcaseAutoencoder:
    """How badly sound is rebuilt by a network that has learnt to rebuild normal sound.

    Args:
        seed: of the initial weights and the order of the batches.
        epochs: how often the normal sound is gone through.
    """

    name = "DCASE autoencoder"

    def __init__(self, seed: int = 0, epochs: int = EPOCHS) -> None:
        self._seed, self._epochs = seed, epochs

    def learn(self, normal: Sequence[Path], folder: Path) -> None:
        """Train on every place of every recording."""
        spectra = [_spectrum(path) for path in normal]
        ends = np.cumsum([len(spectrum) for spectrum in spectra])
        starts = [
            np.arange(end - len(spectrum), end - OFFSETS[-1])
            for spectrum, end in zip(spectra, ends, strict=True)
        ]
        folder.mkdir(parents=True)
        np.save(folder / FRAMES_FILE, np.concatenate(spectra))
        np.save(folder / STARTS_FILE, np.concatenate(starts))
        job = AutoencoderJob(list(OFFSETS), self._epochs, self._seed)
        ask(job, folder, steps=self._epochs, description="Training the autoencoder", unit="epochs")
        with np.load(folder / LAYERS_FILE) as arrays:
            values = [arrays[f"arr_{number}"] for number in range(len(arrays.files))]
        self._layers = list(zip(values[::2], values[1::2], strict=True))

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """The mean squared error; by cell, over all places at which a frame is looked at."""
        for path in paths:
            frames = _spectrum(path)
            places = np.arange(len(frames) - OFFSETS[-1])[:, None] + np.asarray(OFFSETS)
            errors = self._errors(frames[places])
            total, looks = np.zeros_like(frames), np.zeros((len(frames), 1), np.float32)
            for column in range(len(OFFSETS)):
                total[places[:, column]] += errors[:, column]
                looks[places[:, column]] += 1
            grid = by_cell(total / looks).mean(axis=(1, 3))
            yield Judgement(float(errors.mean()), grid, None)

    def _errors(self, inputs: FloatArray) -> FloatArray:
        """Squared errors of [n, 5, bands], in the same shape."""
        x = flat = inputs.reshape(len(inputs), -1)
        *hidden, (last_kernel, last_bias) = self._layers
        for kernel, bias in hidden:
            x = np.maximum(x @ kernel + bias, 0)
        return np.asarray((x @ last_kernel + last_bias - flat) ** 2).reshape(inputs.shape)


def _spectrum(path: Path) -> FloatArray:
    frames = log_mel(path)
    if len(frames) < FEWEST_FRAMES:
        raise RecordingError(
            f"{path}: {len(frames)} frames are too few for the autoencoder, "
            f"which needs {FEWEST_FRAMES} of 10 ms"
        )
    return frames
