"""What int8 costs: do the float student and the artefact made from it rank cells alike?

Both embed the same windows, both get a bank of the same normal cells, and the distances of the
cells of other sounds are compared by rank, once over all of them and once over the largest, since
those decide about alarms.

The artefact doesn't tell the mean and scale with which its two layers were equalised. So they are
measured again, on the windows from which it was made: `convert.make_builtin` simulates the same
machines with the same seeds, and `convert.build` draws the same windows from them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy import stats

from calibration.coreset import k_center
from calibration.learn import gain_for
from convert.evaluation_jobs import (
    DISTURBED_FILE,
    EMBEDDINGS_FILE,
    NORMAL_FILE,
    WINDOWS_FILE,
    StudentJob,
    ask,
)
from convert.evaluation_systems import survey_of
from edge.embedding import Windows, rows_below
from edge.nearest import Bank
from edge.recording import read_blocks, recording_info

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from convert.evaluation_sets import EvaluationSet
    from edge.backbone import BackboneInfo
    from edge.frontend import FrontEnd
    from edge.recording import RecordingInfo

    FloatArray = NDArray[np.float32]

BANK_ROWS = 2_000
MOST_WINDOWS = 400  # of normal and of other sound each, taken evenly
TOP_SHARE = 0.05
BLOCK_CELLS = 1_024


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How alike int8 and float rank the cells of a set."""

    set: str
    cells: int
    spearman: float
    spearman_top: float  # over the cells with the largest float distances, `TOP_SHARE` of all


class FloatStudent:
    """The student before it was quantised, in a child process.

    Args:
        weights: the float weights.
        windows: normal and disturbed windows on which its layers are equalised, both
            [n, frames, bands].
        folder: may be written.
    """

    def __init__(self, weights: Path, windows: tuple[FloatArray, FloatArray], folder: Path) -> None:
        self._weights, self._folder = weights, folder
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in zip((NORMAL_FILE, DISTURBED_FILE), windows, strict=True):
            np.save(folder / name, array)

    def embed(self, windows: FloatArray) -> FloatArray:
        """[n, frames, bands] to [n, columns, rows, dimension]."""
        np.save(self._folder / WINDOWS_FILE, windows)
        job = StudentJob(str(self._weights.resolve()))
        ask(job, self._folder, steps=len(windows), description="Float student", unit="windows")
        return np.asarray(np.load(self._folder / EMBEDDINGS_FILE))


def measure_agreement(
    evaluation_set: EvaluationSet, source: BackboneSource, student: FloatStudent, folder: Path
) -> Agreement:
    """Compare on one set: its normal recordings are the bank's, its clips are the other sounds.

    Raises:
        RecordingError: the normal sound can't be used.
    """
    heard = survey_of(evaluation_set.normal, folder / "normal")
    info, backbone = source.backbone.info, source.backbone
    gain_db = gain_for(heard.level_dbfs, source.reference_level_dbfs)
    front_end = msgspec.structs.replace(source.front_end, gain_db=gain_db)
    others = [recording_info(clip.path) for clip in evaluation_set.clips]
    limit_hz = min(heard.limit_hz, *(other.nyquist_hz for other in others))
    normal = _windows(heard.recordings, front_end, info, limit_hz)
    windows = np.concatenate([normal, _windows(others, front_end, info, limit_hz)])
    rows = rows_below(limit_hz, front_end, info)
    inner = slice(info.context_columns, info.grid_columns - info.context_columns)
    steps = np.stack([backbone.embed(window) for window in windows])[:, inner, :rows]
    exact = student.embed(windows)[:, inner, :rows]
    int8_normal, int8_other = (_cells(part) for part in np.split(steps, [len(normal)]))
    float_normal, float_other = (_cells(part) for part in np.split(exact, [len(normal)]))
    chosen, _ = k_center(int8_normal, BANK_ROWS)
    return compare(
        evaluation_set.name,
        Bank(int8_normal[chosen]).squared_distances(int8_other),
        squared_distances(float_normal[chosen], float_other),
    )


def compare(name: str, int8: NDArray[np.int32], exact: NDArray[np.float64]) -> Agreement:
    """Rank correlations of the same cells' distances, squared or not."""
    top = np.argsort(exact)[-max(2, round(TOP_SHARE * len(exact))) :]
    return Agreement(
        set=name,
        cells=len(exact),
        spearman=float(stats.spearmanr(int8, exact).statistic),
        spearman_top=float(stats.spearmanr(int8[top], exact[top]).statistic),
    )


def mean_agreement(found: Sequence[Agreement]) -> list[Agreement]:
    """The mean over the sets of one name; the number of cells is their sum."""
    rows = []
    for name in dict.fromkeys(agreement.set for agreement in found):
        same = [agreement for agreement in found if agreement.set == name]
        rows.append(
            Agreement(
                set=name,
                cells=sum(agreement.cells for agreement in same),
                spearman=float(np.mean([agreement.spearman for agreement in same])),
                spearman_top=float(np.mean([agreement.spearman_top for agreement in same])),
            )
        )
    return rows


def squared_distances(bank: FloatArray, queries: FloatArray) -> NDArray[np.float64]:
    """Squared distance of each query to its nearest row, in float. [n, dimension] -> [n]."""
    rows = bank.astype(np.float64)
    norms = np.einsum("rd,rd->r", rows, rows)
    found = []
    for start in range(0, len(queries), BLOCK_CELLS):
        block = queries[start : start + BLOCK_CELLS].astype(np.float64)
        own = np.einsum("qd,qd->q", block, block)
        found.append((norms - 2 * block @ rows.T).min(axis=1) + own)
    return np.concatenate(found)


def _windows(
    recordings: Sequence[RecordingInfo], front_end: FrontEnd, info: BackboneInfo, limit_hz: float
) -> FloatArray:
    """The windows that a node would embed, [n, frames, bands]; of many, some from everywhere."""
    windows = []
    for recording in recordings:
        stream = Windows(front_end, info, rate_hz=recording.rate_hz, limit_hz=limit_hz)
        for block in read_blocks(recording):
            windows += stream.push(block)
        windows += stream.finish()[0]
    places = np.linspace(0, len(windows) - 1, min(len(windows), MOST_WINDOWS)).round().astype(int)
    return np.stack([windows[place] for place in places])


def _cells(grids: NDArray[Any]) -> NDArray[Any]:
    """[n, columns, rows, dimension] to [cells, dimension]."""
    return np.ascontiguousarray(grids.reshape(-1, grids.shape[-1]))
