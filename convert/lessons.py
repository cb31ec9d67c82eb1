"""What the student learns from: windows, and what all teachers together would say of them.

The teachers see a longer stretch than the student, so that padding marks none of their answers.
Each one's channels are normalised, each one has the same total variance, and on both grids all are
joined and reduced to the student's width by PCA: distances between answers stay what they were, as
far as so many dimensions can hold them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from convert.teachers import (
    Teachers,
    YamNetFrontEnd,
    log_mel_frames,
    to_student_rows,
    yamnet_rows,
)
from edge.frontend import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from convert.pretrain_sounds import Sounds

    FloatArray = NDArray[np.float32]
    Batch = tuple[FloatArray, FloatArray, FloatArray]

FRAMES, CONTEXT = 96, 16  # of a window, and seen by the teachers on each side of it
STRIDES = (8, 16)  # of the two grids, in frames
ROWS = 16  # of the finer grid
LIMITED_SHARE, LOWEST_LIMIT_HZ = 0.3, 3_500.0
FIT_WINDOWS = 768
TEACHER_BATCH = 64


@dataclass(frozen=True)
class Projection:
    """From the teachers' joined features to what the student should say, on one grid."""

    means: list[FloatArray]  # by teacher
    scales: list[FloatArray]
    axes: FloatArray  # [joined channels, student channels]
    kept: float  # share of the variance that the axes hold

    def apply(self, features: list[FloatArray]) -> FloatArray:
        """[n, columns, rows, student channels]; on average one unit of variance in each."""
        return np.asarray(self.join(features) @ self.axes)

    def join(self, features: list[FloatArray]) -> FloatArray:
        """All teachers, normalised, [n, columns, rows, joined channels]."""
        parts = zip(features, self.means, self.scales, strict=True)
        return np.concatenate([(f - mean) * scale for f, mean, scale in parts], axis=-1)

    @classmethod
    def fit(cls, features: list[FloatArray], channels: int) -> Projection:
        """Normalise each teacher's channels and find the main axes of all together."""
        axes = (0, 1, 2)
        means = [f.mean(axis=axes) for f in features]
        # Equal variance for each channel, and as much in all for each teacher.
        scales = [1.0 / ((f.std(axis=axes) + 1e-6) * np.sqrt(f.shape[-1])) for f in features]
        joined = cls(means, scales, np.empty((0, 0), np.float32), 0.0).join(features)
        flat = joined.reshape(-1, joined.shape[-1]).astype(np.float64)
        variance, vectors = np.linalg.eigh(flat.T @ flat / len(flat))
        order = np.argsort(variance)[::-1][:channels]
        scale = 1.0 / np.sqrt(variance[order].mean())
        kept = float(variance[order].sum() / variance.sum())
        return cls(means, scales, (vectors[:, order] * scale).astype(np.float32), kept)


class Lessons:
    """Endless batches of windows and answers.

    Args:
        sounds: where windows come from.
        teachers: who answers.
        channels: the student's width at the finer and at the coarser tap.
    """

    def __init__(self, sounds: Sounds, teachers: Teachers, channels: tuple[int, int]) -> None:
        self._sounds, self._teachers = sounds, teachers
        self._front_end = FrontEnd()
        self._yamnet = YamNetFrontEnd(self._front_end)
        self._position, self._inside = yamnet_rows(self._front_end, ROWS)
        self._random = np.random.default_rng(0)
        _, fine, coarse = self._ask(FIT_WINDOWS)
        self.fine = Projection.fit(fine, channels[0])
        self.coarse = Projection.fit(coarse, channels[1])

    @property
    def files(self) -> list[str]:
        """The recordings that windows are drawn from."""
        return self._sounds.files

    def skip(self, steps: int) -> None:
        """After a pause, go on with other windows than those that were seen before it."""
        if steps:
            self._sounds.reseed(steps)
            self._random = np.random.default_rng(steps)

    def batches(self, size: int) -> Iterator[Batch]:
        """Windows [n, 96, 128, 1], answers [n, 12, 16, c] and [n, 6, 8, c]."""
        while True:
            windows, fine, coarse = self._ask(size)
            yield windows[..., None], self.fine.apply(fine), self.coarse.apply(coarse)

    def _ask(self, count: int) -> tuple[FloatArray, list[FloatArray], list[FloatArray]]:
        frames = FRAMES + 2 * CONTEXT
        samples = frames * self._front_end.hop_length
        log_mel, yamnet_mel = [], []
        for _ in range(count):
            sound = self._sounds.draw(samples)
            log_mel.append(log_mel_frames(sound, self._front_end, frames, self._limit_hz()))
            yamnet_mel.append(self._yamnet.frames(sound, frames))
        windows = np.stack(log_mel)
        parts = [
            self._teachers.features(
                windows[i : i + TEACHER_BATCH], np.stack(yamnet_mel[i : i + TEACHER_BATCH])
            )
            for i in range(0, count, TEACHER_BATCH)
        ]
        mn_fine, image_fine, heard, mn_coarse, image_coarse = map(
            np.concatenate, zip(*parts, strict=True)
        )
        yamnet = to_student_rows(heard, self._position)
        # Outside its range YAMNet says what it says on average: nothing.
        average = yamnet[:, :, self._inside].mean(axis=(0, 1, 2))
        yamnet[:, :, ~self._inside] = average
        fine = [_inner(f, STRIDES[0]) for f in (mn_fine, image_fine, yamnet)]
        coarse = [_inner(f, STRIDES[1]) for f in (mn_coarse, image_coarse)]
        return windows[:, CONTEXT : CONTEXT + FRAMES], fine, coarse

    def _limit_hz(self) -> float:
        """Some windows are silent above a frequency, as recordings at a low rate are."""
        if self._random.random() > LIMITED_SHARE:
            return float("inf")
        return float(self._random.uniform(LOWEST_LIMIT_HZ, 16_000.0))


def _inner(features: FloatArray, stride: int) -> FloatArray:
    """The columns that belong to the student's window."""
    return features[:, CONTEXT // stride : (CONTEXT + FRAMES) // stride]
