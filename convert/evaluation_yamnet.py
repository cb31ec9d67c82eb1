"""YAMNet as a system: a large teacher in float, through its own front end.

Features of its sixth layer take the place of the int8 backbone; bank, nearest neighbour and row
statistics are the product's, at its shortest scale alone.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from calibration.coreset import StreamingCoreset
from calibration.learn import gain_for
from calibration.scale_fit import SMALLEST_SPREAD, averaged_over, upper_statistics
from convert.build import REFERENCE_LEVEL_DBFS
from convert.evaluation_jobs import ROWS_FILE, YamNetJob, ask, features_file
from convert.evaluation_masks import CELL_FRAMES
from convert.evaluation_systems import Judgement, survey_of
from edge.detector import grid_nearest
from edge.frontend import FrontEnd
from edge.nearest import Bank
from edge.scales import LOCAL_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]

BANK_ROWS = 2_000
STRETCH_S, MIN_STRETCHES, MAX_STRETCHES, HOLD_OUT_EVERY = 10.0, 4, 48, 4
STEPS = 127
# A feature is clipped at so many times what nearly all normal features stay within.
WITHIN, HEADROOM = 0.999, 2.0
SMALLEST_RANGE = 1e-6


class YamNetNeighbour:
    """Distance of YAMNet's features to the nearest normal ones, standardised by row.

    Args:
        weights: the file with YAMNet's first layers.
    """

    name = "yamnet"

    def __init__(self, weights: Path) -> None:
        self._weights = weights

    def learn(self, normal: Sequence[Path], folder: Path) -> None:
        """A bank from most of the sound; row statistics from every fourth stretch."""
        heard = survey_of(normal, folder / "normal")
        self._folder = folder
        self._gain_db = gain_for(heard.level_dbfs, REFERENCE_LEVEL_DBFS)
        files = self._hear(normal)
        self._scaling = Scaling.of(files)
        column_s = CELL_FRAMES * FrontEnd().frame_s
        kept, held_out = _split([self._scaling.steps(np.load(f)) for f in files], column_s)
        coreset = StreamingCoreset(kept[0].shape[-1], max_rows=BANK_ROWS)
        for part in kept:
            coreset.add(part.reshape(-1, part.shape[-1]))
        self._bank = Bank(coreset.finish().rows)
        averaged = [averaged_over(self._distances(part), LOCAL_COLUMNS) for part in held_out]
        self._normal = upper_statistics(averaged, SMALLEST_SPREAD, 1e-6)

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """The largest standardised cell."""
        files = self._hear(paths)
        position = np.load(files[0].parent / ROWS_FILE)
        for file in files:
            distances = self._distances(self._scaling.steps(np.load(file)))
            centre, spread = self._normal
            deviation = (averaged_over(distances, LOCAL_COLUMNS) - centre) / spread
            yield Judgement(float(deviation.max()), to_map_rows(deviation, position), None)

    def _distances(self, columns: Int8Array) -> FloatArray:
        return grid_nearest(self._bank, columns, np.float32(1 / self._scaling.steps_a_unit))[0]

    def _hear(self, recordings: Sequence[Path]) -> list[Path]:
        place = Path(tempfile.mkdtemp(dir=self._folder))
        names = [str(path.resolve()) for path in recordings]
        job = YamNetJob(str(self._weights.resolve()), self._gain_db, names)
        ask(job, place, steps=len(names), description="YAMNet listens", unit="files")
        return [place / features_file(number) for number in range(len(names))]


class Scaling:
    """From float features to int8: the mean by channel becomes 0, one scale serves all channels."""

    def __init__(self, mean: FloatArray, steps_a_unit: float) -> None:
        self.mean, self.steps_a_unit = mean, steps_a_unit

    @classmethod
    def of(cls, files: Sequence[Path]) -> Scaling:
        """From normal features, [columns, rows, channels] in each file."""
        means, weights = [], []
        for file in files:
            features = np.load(file)
            means.append(features.mean(axis=(0, 1), dtype=np.float64))
            weights.append(len(features))
        mean = np.average(means, axis=0, weights=weights).astype(np.float32)
        within = [np.quantile(np.abs(np.load(file) - mean), WITHIN) for file in files]
        widest = max(float(np.max(within)), SMALLEST_RANGE)
        return cls(mean, STEPS / (HEADROOM * widest))

    def steps(self, features: FloatArray) -> Int8Array:
        """The int8 values."""
        scaled = np.rint((features - self.mean) * np.float32(self.steps_a_unit))
        return np.asarray(np.clip(scaled, -STEPS, STEPS), np.int8)


def _split(
    recordings: Sequence[Int8Array], column_s: float
) -> tuple[list[Int8Array], list[Int8Array]]:
    """What is kept for the bank and what is held out, by stretches."""
    total = sum(len(columns) for columns in recordings)
    stretches = int(np.clip(total * column_s // STRETCH_S, MIN_STRETCHES, MAX_STRETCHES))
    kept: list[Int8Array] = []
    held_out: list[Int8Array] = []
    position = 0
    for columns in recordings:
        indices = (position + np.arange(len(columns))) * stretches // total
        for stretch in np.unique(indices):
            last = stretch % HOLD_OUT_EVERY == HOLD_OUT_EVERY - 1
            (held_out if last else kept).append(columns[indices == stretch])
        position += len(columns)
    return kept, held_out


def to_map_rows(values: FloatArray, position: NDArray[np.float64]) -> FloatArray:
    """Interpolate YAMNet's rows at the map's; what YAMNet can't hear gets the lowest value.

    Args:
        values: [columns, 8].
        position: where the centres of the map's rows lie, in YAMNet's rows; NaN: nowhere. [rows].
    """
    own = np.arange(values.shape[1])
    at = np.nan_to_num(position)
    rows = np.stack([np.interp(at, own, column) for column in values])
    rows[:, np.isnan(position)] = values.min()
    return np.asarray(rows, np.float32)
