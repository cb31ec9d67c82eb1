"""The calibration's child process: embeddings from a file into a hold-out, its bank, thresholds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calibration.coreset import DEFAULT_MAX_BYTES, DEFAULT_MAX_ROWS
from calibration.holdout import HoldOut
from calibration.thresholds import learn_thresholds
from convert.bench.calibration import BANDS_FILE, EMBEDDINGS_FILE
from convert.bench.children import answer, memory_mb
from edge.embedding import Columns

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS_AT_ONCE = 64
SCALE = 0.05  # what an int8 step is worth; it only scales the distances


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    rows, dimension, seconds = job["rows"], job["dimension"], job["column_s"]
    limit = min(DEFAULT_MAX_ROWS, DEFAULT_MAX_BYTES // dimension)
    spent_s = {"coreset": 0.0, "held out, thresholds": 0.0}
    with HoldOut(
        Path(job["folder"]),
        rows=rows, dimension=dimension, limit=limit, column_s=seconds, scale=np.float32(SCALE),
    ) as hold_out:  # fmt: skip
        hold_out.begin(job["columns"])
        first = 0
        for columns in _columns(job):
            began = time.process_time()
            hold_out.add(columns, 0, first)
            spent_s["coreset"] += time.process_time() - began
            first += len(columns.embeddings)
        began = time.process_time()
        hold_out.bank()
        spent_s["coreset"] += time.process_time() - began
        began = time.process_time()
        learn_thresholds(hold_out.held_out(), seconds)
        spent_s["held out, thresholds"] = time.process_time() - began
    temporary = job["columns"] * rows * (dimension + 4) / 1e6
    return {"spent_s": spent_s, "peak_mb": memory_mb(), "temporary_mb": round(temporary)}


def _columns(job: dict[str, Any]) -> Iterator[Columns]:
    """So many columns, over and over from the files, after the first time with jitter."""
    folder, left, generation = Path(job["folder"]), job["columns"], 0
    cells, bands = job["rows"] * job["dimension"], job["bands"]
    random = np.random.default_rng(1)
    while left > 0:
        with (
            (folder / EMBEDDINGS_FILE).open("rb") as first,
            (folder / BANDS_FILE).open("rb") as other,
        ):
            for start in range(0, min(left, job["columns_there"]), COLUMNS_AT_ONCE):
                count = min(COLUMNS_AT_ONCE, left, job["columns_there"] - start)
                embeddings = np.frombuffer(first.read(count * cells), np.int8)
                bands_db = np.frombuffer(other.read(4 * count * bands), np.float32)
                if generation:
                    steps = random.integers(-job["jitter"], job["jitter"] + 1, embeddings.shape)
                    embeddings = np.clip(embeddings + steps, -128, 127).astype(np.int8)
                shape = (count, job["rows"], job["dimension"])
                yield Columns(embeddings.reshape(shape), bands_db.reshape(count, bands))
                left -= count
        generation += 1


if __name__ == "__main__":
    answer(_measure)
