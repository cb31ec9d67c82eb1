"""Log-mel spectrograms to look at: of a whole recording in bounded memory, and of a part of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from edge.embedding import DB_A_NEPER
from edge.frontend import LogMel
from edge.recording import read_blocks, read_part
from edge.resample import Resampler

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from edge.frontend import FrontEnd
    from edge.recording import RecordingInfo

    FloatArray = NDArray[np.float32]

FRAMES_AT_ONCE = 64
DARK_PERCENTILE, BRIGHT_PERCENTILE = 10.0, 99.9
NARROWEST_DB = 30.0


@dataclass(frozen=True)
class Spectrogram:
    """Levels of mel bands over time."""

    bands_db: FloatArray  # [columns, bands]
    start_s: float
    end_s: float

    def bounds_db(self) -> tuple[float, float]:
        """Between which levels its colours should lie."""
        low, high = np.percentile(self.bands_db, [DARK_PERCENTILE, BRIGHT_PERCENTILE])
        return float(low), float(max(high, low + NARROWEST_DB))


class Pooled:
    """A stream of columns becomes a bounded number of them: each the mean or the largest of some.

    Args:
        expected: about how many columns will come.
        most: how many columns may be left of so many.
        by: what stands for some neighbours.
    """

    def __init__(self, expected: float, most: int, by: Literal["mean", "largest"]) -> None:
        self.each = max(1, int(np.ceil(expected / most)))
        self._by = by
        self._waiting: FloatArray | None = None
        self._done: list[FloatArray] = []

    def add(self, columns: FloatArray) -> None:
        """Take in columns, [n, bands]."""
        if self._waiting is not None:
            columns = np.concatenate([self._waiting, columns])
        whole = len(columns) - len(columns) % self.each
        if whole:
            groups = columns[:whole].reshape(-1, self.each, columns.shape[1])
            self._done.append(self._pool(groups, 1))
        self._waiting = columns[whole:].copy()

    def finish(self) -> FloatArray:
        """What is left of all, [columns, bands]."""
        if self._waiting is not None and len(self._waiting):
            self._done.append(self._pool(self._waiting, 0)[None])
        self._waiting = None
        return np.concatenate(self._done) if self._done else np.empty((0, 0), np.float32)

    def _pool(self, columns: FloatArray, axis: int) -> FloatArray:
        pooled = columns.max(axis=axis) if self._by == "largest" else columns.mean(axis=axis)
        return np.asarray(pooled, np.float32)


def whole_spectrogram(
    info: RecordingInfo, front_end: FrontEnd, *, limit_hz: float, bands: int, most_columns: int
) -> Spectrogram:
    """The lowest `bands` of a whole recording; of a long one the loudest of neighbours."""
    pooled = Pooled(info.duration_s / front_end.frame_s, most_columns, "largest")
    for frames in log_mel_db(read_blocks(info), info.rate_hz, front_end, limit_hz):
        pooled.add(frames[:, :bands])
    return Spectrogram(pooled.finish(), 0.0, info.duration_s)


def part_spectrogram(
    info: RecordingInfo,
    front_end: FrontEnd,
    span_s: tuple[float, float],
    *,
    limit_hz: float,
    bands: int,
    most_columns: int,
) -> Spectrogram:
    """The lowest `bands` of a part of a recording, as far as there is sound."""
    start = round(max(0.0, span_s[0]) * info.rate_hz)
    end = round(min(span_s[1], info.duration_s) * info.rate_hz)
    samples = read_part(info, start, max(1, end - start))
    pooled = Pooled(len(samples) / info.rate_hz / front_end.frame_s, most_columns, "largest")
    for frames in log_mel_db([samples], info.rate_hz, front_end, limit_hz):
        pooled.add(frames[:, :bands])
    start_s = start / info.rate_hz
    return Spectrogram(pooled.finish(), start_s, start_s + len(samples) / info.rate_hz)


def log_mel_db(
    blocks: Iterable[FloatArray], rate_hz: int, front_end: FrontEnd, limit_hz: float
) -> Iterator[FloatArray]:
    """Levels in dB of sound at any rate, [n, mel_bands] at a time; silent above `limit_hz`."""
    scale = np.float32(front_end.log_scale * DB_A_NEPER)
    resampler = Resampler(rate_hz, front_end.sample_rate_hz)
    log_mel = LogMel(front_end, limit_hz=limit_hz)
    for block in blocks:
        log_mel.push(resampler.push(block))
        while log_mel.samples_for(FRAMES_AT_ONCE) == 0:
            yield log_mel.pull(FRAMES_AT_ONCE) * scale
    log_mel.push(resampler.finish())
    yield log_mel.finish() * scale
