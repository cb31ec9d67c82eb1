"""Normal sound, held out in turn: every quarter is measured with a bank of the other three.

Whole quarters, in the order of recording, so that what changes slowly is held out too
(cross-fitting; Roberts et al., *Ecography*, 2017, on blocks for data that depend on their
neighbours). Embeddings and levels wait in a temporary file; memory holds no more than four
coresets. Of long enough sound the last tenth is kept from all of them, to check the result.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration.coreset import Coreset, StreamingCoreset, merged
from calibration.scale_fit import Segment
from edge.detector import grid_nearest
from edge.durable import LEFTOVER
from edge.nearest import Bank

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.embedding import Columns

QUARTERS = 4
CHECK_SHARE, SHORTEST_TO_CHECK_S = 0.1, 300.0
COLUMNS_AT_ONCE = 512
LOWEST_BAND_DB, BAND_STEP_DB, BAND_STEPS = -80.0, 0.5, 480
ROW_BITS, COLUMN_BITS = 8, 32


@dataclass
class _Run:
    """Columns of one recording and one quarter without a gap; `QUARTERS` is the last tenth."""

    recording: int
    quarter: int
    columns: int = 0


class BandLevels:
    """The median level of each band, from counts in steps of half a decibel."""

    def __init__(self) -> None:
        self._counts = np.empty((0, BAND_STEPS), np.int64)

    def add(self, bands_db: NDArray[np.float32]) -> None:
        """Columns of levels, [n, bands]."""
        bands = bands_db.shape[1]
        if not len(self._counts):
            self._counts = np.zeros((bands, BAND_STEPS), np.int64)
        steps = np.clip((bands_db - LOWEST_BAND_DB) / BAND_STEP_DB, 0, BAND_STEPS - 1).astype(int)
        np.add.at(self._counts, (np.arange(bands)[None, :], steps), 1)

    def medians(self) -> list[float]:
        """By band, in dB."""
        shares = np.cumsum(self._counts, axis=1) / np.maximum(self._counts.sum(axis=1), 1)[:, None]
        steps = (shares >= 0.5).argmax(axis=1)  # noqa: PLR2004
        return [float(LOWEST_BAND_DB + (step + 0.5) * BAND_STEP_DB) for step in steps]


class HoldOut:
    """Takes in all normal sound; use it as a context manager.

    Args:
        folder: where the temporary files may lie.
        rows: rows of the map.
        dimension: length of an embedding.
        limit: rows of a bank.
        column_s: duration of a column.
        scale: what one int8 step of an embedding is worth in distance units.
    """

    def __init__(
        self,
        folder: Path,
        *,
        rows: int,
        dimension: int,
        limit: int,
        column_s: float,
        scale: np.float32,
    ) -> None:
        self._rows, self._dimension, self._limit, self._scale = rows, dimension, limit, scale
        self._column_s = column_s
        self._coresets = [
            StreamingCoreset(dimension, max_rows=limit, max_bytes=limit * dimension)
            for _ in range(QUARTERS)
        ]
        self._embeddings = tempfile.TemporaryFile(dir=folder, prefix=LEFTOVER)  # noqa: SIM115
        self._levels = tempfile.TemporaryFile(dir=folder, prefix=LEFTOVER)  # noqa: SIM115
        self._band_levels = BandLevels()
        self._runs: list[_Run] = []
        self._was_cut = True
        self.begin(0.0)

    def __enter__(self) -> HoldOut:
        return self

    def __exit__(self, *_: object) -> None:
        self._embeddings.close()
        self._levels.close()

    @property
    def seen(self) -> int:
        """Cells that a bank could be chosen from."""
        return sum(coreset.seen for coreset in self._coresets)

    def begin(self, expected_columns: float) -> None:
        """A lesson of about so many columns: each has quarters of its own."""
        self._checks = expected_columns * self._column_s >= SHORTEST_TO_CHECK_S
        learnt = expected_columns * (1 - CHECK_SHARE if self._checks else 1)
        self._quarter_columns = max(1.0, learnt / QUARTERS)
        self._position = 0
        self.cut()

    def cut(self) -> None:
        """What comes next does not follow on what came before."""
        self._was_cut = True

    def add(self, columns: Columns, recording: int, first: int) -> None:
        """Columns of a recording; `first` is the number of the first one in it."""
        columns = columns.rows(self._rows)
        numbers = first + np.arange(len(columns.embeddings))
        quarters = (self._position + np.arange(len(numbers))) / self._quarter_columns
        quarters = np.minimum(quarters.astype(int), QUARTERS if self._checks else QUARTERS - 1)
        for quarter in np.unique(quarters):
            part = quarters == quarter
            self._run(recording, int(quarter)).columns += int(part.sum())
            if quarter < QUARTERS:
                flat = columns.embeddings[part].reshape(-1, self._dimension)
                self._coresets[quarter].add(flat, self._origins(recording, numbers[part]))
        self._embeddings.write(np.ascontiguousarray(columns.embeddings).tobytes())
        self._levels.write(np.ascontiguousarray(columns.levels_db).tobytes())
        self._band_levels.add(columns.bands_db)
        self._position += len(numbers)

    def bank(self) -> Coreset:
        """A bank of everything but the last tenth."""
        return merged([c.finish() for c in self._coresets if c.seen], self._limit)

    def held_out(self) -> list[Segment]:
        """Every stretch, measured with a bank of the other quarters."""
        chosen = {q: c.finish() for q, c in enumerate(self._coresets) if c.seen}
        banks = {}
        for quarter, own in chosen.items():
            others = [c for q, c in chosen.items() if q != quarter] or [own]
            # As many rows for as much sound as the bank of all quarters has.
            share = len(others) / len(chosen)
            banks[quarter] = Bank(merged(others, max(1, round(share * self._limit))).rows)
        return [s for q, s in self._segments(banks) if q < QUARTERS]

    def check(self, bank: Bank) -> list[Segment]:
        """The last tenth, measured with the bank that will be used; often there is none."""
        return [s for _, s in self._segments({QUARTERS: bank})]

    @property
    def bands_db(self) -> list[float]:
        """What level is normal in each mel band."""
        return self._band_levels.medians()

    def origin(self, number: int) -> tuple[int, int]:
        """Recording and column that an origin stands for."""
        return number >> (COLUMN_BITS + ROW_BITS), (number >> ROW_BITS) % 2**COLUMN_BITS

    def _origins(self, recording: int, columns: NDArray[np.int64]) -> NDArray[np.int64]:
        place = (recording << (COLUMN_BITS + ROW_BITS)) + (columns.astype(np.int64) << ROW_BITS)
        return np.asarray((place[:, None] + np.arange(self._rows)).ravel())

    def _run(self, recording: int, quarter: int) -> _Run:
        last = None if self._was_cut else self._runs[-1]
        if last is None or (last.recording, last.quarter) != (recording, quarter):
            self._runs.append(_Run(recording, quarter))
            self._was_cut = False
        return self._runs[-1]

    def _segments(self, banks: dict[int, Bank]) -> Iterator[tuple[int, Segment]]:
        start = 0
        for run in self._runs:
            if run.quarter in banks and run.columns:
                yield run.quarter, self._segment(banks[run.quarter], start, run.columns)
            start += run.columns

    def _segment(self, bank: Bank, start: int, count: int) -> Segment:
        cells = self._rows * self._dimension
        self._embeddings.seek(start * cells)
        self._levels.seek(start * self._rows * 4)
        parts = []
        for done in range(0, count, COLUMNS_AT_ONCE):
            columns = min(COLUMNS_AT_ONCE, count - done)
            raw = np.frombuffer(self._embeddings.read(columns * cells), np.int8)
            shape = (columns, self._rows, self._dimension)
            parts.append(grid_nearest(bank, raw.reshape(shape), self._scale)[0])
        levels = np.frombuffer(self._levels.read(count * self._rows * 4), np.float32)
        return Segment(np.concatenate(parts), levels.reshape(count, self._rows))
