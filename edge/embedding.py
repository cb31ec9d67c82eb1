"""A stream of sound becomes a stream of embeddings: each cell of the map once, from one window.

Zero padding inside the backbone marks the cells at both ends of a window, so windows overlap by
`context_columns` on each side and only the inner cells are kept. Before the first frame and after
the last, the log-mel spectrogram is continued by its mirror image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge.frontend import FrontEnd, LogMel, band_edges_hz
from edge.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.backbone import Backbone, BackboneInfo

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]


DB_A_NEPER = 10.0 / np.log(10.0)  # of power


class Windows:
    """A stream of samples, at any rate, becomes overlapping windows of log-mel frames."""

    def __init__(
        self, front_end: FrontEnd, info: BackboneInfo, *, rate_hz: int, limit_hz: float
    ) -> None:
        self._resampler = Resampler(rate_hz, front_end.sample_rate_hz)
        self._log_mel = LogMel(front_end, limit_hz=limit_hz)
        self._info = info
        self._context = info.context_columns * info.frames_per_column
        self._advance = info.window_frames - 2 * self._context
        self._frames = np.empty((0, info.mel_bands), np.float32)
        self._waiting: list[FloatArray] = []  # until they complete a window
        self._missing = self._samples_wanted()

    def push(self, samples: FloatArray) -> list[FloatArray]:
        """Windows completed by these samples, each [window_frames, mel_bands].

        The samples are not copied before they complete a window, so they may not change.
        """
        self._waiting.append(samples)
        self._missing -= len(samples)
        if self._missing > 0:
            return []
        windows = []
        self._take_in()
        while self._log_mel.samples_for(self._frames_wanted()) == 0:
            self._append(self._log_mel.pull(self._frames_wanted()))
            windows.append(self._frames)
            self._frames = self._frames[self._advance :]
        self._missing = self._samples_wanted()
        return windows

    def finish(self) -> tuple[list[FloatArray], int]:
        """The last windows, and how many of their inner columns hold sound."""
        self._take_in()
        self._log_mel.push(self._resampler.finish())
        self._append(self._log_mel.finish())
        pending = len(self._frames) - self._context
        if pending <= 0:
            return [], 0
        columns = -(-pending // self._info.frames_per_column)
        count = -(-pending // self._advance)
        length = 2 * self._context + count * self._advance
        padding = ((0, length - len(self._frames)), (0, 0))
        frames = np.pad(self._frames, padding, mode="reflect")
        starts = range(0, count * self._advance, self._advance)
        return [frames[s : s + self._info.window_frames] for s in starts], columns

    def _take_in(self) -> None:
        """All at once what waits: every step costs the same for a short block as for a long one."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._log_mel.push(self._resampler.push(np.concatenate(waiting)))

    def _samples_wanted(self) -> int:
        return self._resampler.samples_for(self._log_mel.samples_for(self._frames_wanted()))

    def _frames_wanted(self) -> int:
        return self._info.window_frames - (len(self._frames) or self._context)

    def _append(self, frames: FloatArray) -> None:
        if not len(self._frames) and len(frames):
            mirrored = np.pad(frames, ((self._context, 0), (0, 0)), mode="reflect")
            self._frames = mirrored
        else:
            self._frames = np.concatenate([self._frames, frames])


class Columns(NamedTuple):
    """Finished columns of the map."""

    embeddings: Int8Array  # [n, grid_rows, dimension]
    bands_db: FloatArray  # [n, mel_bands]: mean log-mel level over the column

    def rows(self, count: int) -> Columns:
        """Without the rows above the lowest `count`."""
        bands = self.bands_db.shape[1] // self.embeddings.shape[1]
        return Columns(self.embeddings[:, :count], self.bands_db[:, : count * bands])

    @property
    def levels_db(self) -> FloatArray:
        """[n, rows]: mean log-mel level of each cell."""
        columns, rows = self.embeddings.shape[:2]
        return np.asarray(
            self.bands_db.reshape(columns, rows, self.bands_db.shape[1] // rows).mean(axis=2)
        )


class Embedder:
    """A stream of samples becomes columns of int8 embeddings and levels, a column every 80 ms.

    Args:
        front_end: the bundle's log-mel parameters.
        backbone: the bundle's backbone.
        rate_hz: the rate of the samples that will be pushed.
        limit_hz: bands above this frequency are treated as silent.
    """

    def __init__(
        self, front_end: FrontEnd, backbone: Backbone, *, rate_hz: int, limit_hz: float
    ) -> None:
        self._backbone = backbone
        self._windows = Windows(front_end, backbone.info, rate_hz=rate_hz, limit_hz=limit_hz)
        self._db = np.float32(front_end.log_scale * DB_A_NEPER)
        info = backbone.info
        self._none = Columns(
            np.empty((0, info.grid_rows, info.dimension), np.int8),
            np.empty((0, info.mel_bands), np.float32),
        )

    def push(self, samples: FloatArray) -> Columns:
        """Mono samples in, finished columns out, often none."""
        return self._embed(self._windows.push(samples))

    def finish(self) -> Columns:
        """The columns of what is left when the sound ends."""
        windows, count = self._windows.finish()
        embeddings, bands_db = self._embed(windows)
        return Columns(embeddings[:count], bands_db[:count])

    def _embed(self, windows: list[FloatArray]) -> Columns:
        info = self._backbone.info
        if not windows:
            return self._none
        inner = slice(info.context_columns, info.grid_columns - info.context_columns)
        embeddings = [self._backbone.embed(window)[inner] for window in windows]
        shape = (info.grid_columns, info.frames_per_column, info.mel_bands)
        bands = [window.reshape(shape).mean(axis=1)[inner] for window in windows]
        return Columns(np.concatenate(embeddings), np.concatenate(bands) * self._db)


def row_edges_hz(front_end: FrontEnd, info: BackboneInfo) -> NDArray[np.float64]:
    """Frequency edges of the map's rows, [grid_rows + 1]."""
    return band_edges_hz(front_end)[:: info.bands_per_row]


def rows_below(limit_hz: float, front_end: FrontEnd, info: BackboneInfo) -> int:
    """How many rows, from the lowest, have at least half of their bands below a frequency."""
    middles = band_edges_hz(front_end)[info.bands_per_row // 2 :: info.bands_per_row]
    return int(np.count_nonzero(middles <= limit_hz))


def column_s(front_end: FrontEnd, info: BackboneInfo) -> float:
    """Duration of one column of the map, in seconds."""
    return front_end.frame_s * info.frames_per_column
