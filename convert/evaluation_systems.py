"""The systems that are compared: earpatch with any backbone, and simple baselines.

Each learns from normal recordings and gives every clip a map, [columns, rows], on cells of 80 ms by
8 mel bands, and one score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import soundfile

from calibration.coreset import StreamingCoreset
from calibration.learn import learn
from calibration.survey import survey
from convert.evaluation_sets import CELL_BANDS, CELL_FRAMES
from convert.pretrain_sounds import read_sound
from edge.bundle import open_bundle
from edge.frontend import FrontEnd, LogMel
from edge.nearest import Bank
from edge.scoring import score_recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from calibration.survey import Survey
    from edge.bundle import Bundle

    FloatArray = NDArray[np.float32]

BANK_ROWS = 2_000
STEPS_A_UNIT = 16.0  # int8 steps of a standardised log-mel value
SMALLEST_SPREAD = 1e-3


@dataclass(frozen=True)
class Judgement:
    """What a system says of a clip."""

    score: float
    map: FloatArray
    alarm: float | None  # the value of a cell from which it raises an alarm, if it sets one


class System(Protocol):
    """Something that learns normal sound and judges clips."""

    name: str

    def learn(self, normal: list[Path], folder: Path) -> None:
        """Learn from recordings; `folder` may be written."""
        ...

    def judge(self, path: Path) -> Judgement:
        """Judge one clip."""
        ...


class Earpatch:
    """The product, with any backbone: calibrated and scored as a node would."""

    def __init__(self, name: str, make: Callable[[Survey], BackboneSource]) -> None:
        self.name, self._make = name, make
        self._bundle: Bundle | None = None

    def learn(self, normal: list[Path], folder: Path) -> None:
        """Calibrate a bundle."""
        gathered = folder / "normal"
        gathered.mkdir(parents=True)
        for number, path in enumerate(normal):
            (gathered / f"{number:05d}{path.suffix}").symlink_to(path.resolve())
        heard = survey(gathered, accept=True)
        learn(folder / "bundle", self._make(heard), heard)
        self._bundle = open_bundle(folder / "bundle")

    def judge(self, path: Path) -> Judgement:
        """Score as `earpatch score` does."""
        assert self._bundle is not None, "learn() comes first"  # noqa: S101
        scored = score_recording(self._bundle, path)
        return Judgement(scored.verdict.score, scored.evidence, 1.0)


class LogMelMahalanobis:
    """Each mel band's level against its mean and spread on normal sound, averaged over a cell.

    A clip's score is the distance of its mean spectrum, as a diagonal Mahalanobis distance.
    """

    name = "log-mel Mahalanobis"

    def learn(self, normal: list[Path], folder: Path) -> None:  # noqa: ARG002
        """Mean and spread of each band; spread of a clip's mean spectrum."""
        spectra = [_log_mel(path) for path in normal]
        frames = np.concatenate(spectra)
        self._mean = frames.mean(axis=0)
        self._spread = frames.std(axis=0) + SMALLEST_SPREAD

    def judge(self, path: Path) -> Judgement:
        """Absolute z by cell; the mean spectrum's distance for the clip."""
        z = (_log_mel(path) - self._mean) / self._spread
        score = float(np.sqrt(np.mean(z.mean(axis=0) ** 2)))
        return Judgement(score, np.abs(_cells(z).mean(axis=(1, 3))), None)


class LogMelNeighbour:
    """The same bank and kernel on raw log-mel patches of a cell: what a backbone is worth."""

    name = "log-mel 1-NN"

    def learn(self, normal: list[Path], folder: Path) -> None:  # noqa: ARG002
        """A coreset of normal patches."""
        spectra = [_log_mel(path) for path in normal]
        frames = np.concatenate(spectra)
        self._mean, self._spread = frames.mean(axis=0), frames.std(axis=0) + SMALLEST_SPREAD
        coreset = StreamingCoreset(CELL_FRAMES * CELL_BANDS, max_rows=BANK_ROWS)
        for spectrum in spectra:
            coreset.add(self._patches(spectrum)[0])
        self._bank = Bank(coreset.finish().rows)

    def judge(self, path: Path) -> Judgement:
        """Distance by cell, the largest for the clip."""
        patches, shape = self._patches(_log_mel(path))
        squared = self._bank.squared_distances(patches)
        grid = np.sqrt(squared.astype(np.float32)).reshape(shape)
        return Judgement(float(grid.max()), grid, None)

    def _patches(self, spectrum: FloatArray) -> tuple[NDArray[np.int8], tuple[int, int]]:
        cells = _cells((spectrum - self._mean) / self._spread)
        grid = cells.transpose(0, 2, 1, 3)
        steps = np.clip(np.rint(grid * STEPS_A_UNIT), -128, 127).astype(np.int8)
        return steps.reshape(grid.shape[0] * grid.shape[1], -1), (grid.shape[0], grid.shape[1])


def _log_mel(path: Path) -> FloatArray:
    info = soundfile.info(path)
    stream = LogMel(FrontEnd(), limit_hz=info.samplerate / 2)
    stream.push(read_sound(path))
    return stream.finish()


def _cells(frames: FloatArray) -> FloatArray:
    """[frames, bands] to [columns, frames of a cell, rows, bands of a cell]."""
    columns = len(frames) // CELL_FRAMES
    whole = frames[: columns * CELL_FRAMES]
    return np.asarray(whole.reshape(columns, CELL_FRAMES, -1, CELL_BANDS))
