"""Simple systems that need no network: they show what a backbone is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from calibration.coreset import StreamingCoreset
from convert.evaluation_masks import CELL_BANDS, CELL_FRAMES
from convert.evaluation_systems import Judgement
from convert.pretrain_sounds import read_sound
from edge.frontend import FrontEnd, LogMel
from edge.nearest import Bank
from edge.recording import recording_info

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

BANK_ROWS = 2_000
STEPS_A_UNIT = 16.0  # int8 steps of a standardised log-mel value
SMALLEST_SPREAD = 1e-3


class LogMelMahalanobis:
    """Each mel band's level against its mean and spread on normal sound, averaged over a cell.

    A clip's score is the distance of its mean spectrum, as a diagonal Mahalanobis distance.
    """

    name = "log-mel Mahalanobis"

    def learn(self, normal: Sequence[Path], folder: Path) -> None:  # noqa: ARG002
        """Mean and spread of each band; spread of a clip's mean spectrum."""
        frames = np.concatenate([log_mel(path) for path in normal])
        self._mean = frames.mean(axis=0)
        self._spread = frames.std(axis=0) + SMALLEST_SPREAD

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """Absolute z by cell; the mean spectrum's distance for the clip."""
        for path in paths:
            z = (log_mel(path) - self._mean) / self._spread
            score = float(np.sqrt(np.mean(z.mean(axis=0) ** 2)))
            yield Judgement(score, np.abs(by_cell(z).mean(axis=(1, 3))), None)


class LogMelNeighbour:
    """The same bank and kernel on raw log-mel patches of a cell: what a backbone is worth."""

    name = "log-mel 1-NN"

    def learn(self, normal: Sequence[Path], folder: Path) -> None:  # noqa: ARG002
        """A coreset of normal patches."""
        spectra = [log_mel(path) for path in normal]
        frames = np.concatenate(spectra)
        self._mean, self._spread = frames.mean(axis=0), frames.std(axis=0) + SMALLEST_SPREAD
        coreset = StreamingCoreset(CELL_FRAMES * CELL_BANDS, max_rows=BANK_ROWS)
        for spectrum in spectra:
            coreset.add(self._patches(spectrum)[0])
        self._bank = Bank(coreset.finish().rows)

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """Distance by cell, the largest for the clip."""
        for path in paths:
            patches, shape = self._patches(log_mel(path))
            squared = self._bank.squared_distances(patches)
            grid = np.sqrt(squared.astype(np.float32)).reshape(shape)
            yield Judgement(float(grid.max()), grid, None)

    def _patches(self, spectrum: FloatArray) -> tuple[NDArray[np.int8], tuple[int, int]]:
        grid = by_cell((spectrum - self._mean) / self._spread).transpose(0, 2, 1, 3)
        steps = np.clip(np.rint(grid * STEPS_A_UNIT), -128, 127).astype(np.int8)
        return steps.reshape(grid.shape[0] * grid.shape[1], -1), (grid.shape[0], grid.shape[1])


def log_mel(path: Path) -> FloatArray:
    """A whole recording's frames from the product's front end, without gain. [frames, bands]."""
    stream = LogMel(FrontEnd(), limit_hz=recording_info(path).nyquist_hz)
    stream.push(read_sound(path))
    return stream.finish()


def by_cell(frames: FloatArray) -> FloatArray:
    """[frames, bands] to [columns, frames of a cell, rows, bands of a cell]."""
    columns = len(frames) // CELL_FRAMES
    whole = frames[: columns * CELL_FRAMES]
    return np.asarray(whole.reshape(columns, CELL_FRAMES, -1, CELL_BANDS))
