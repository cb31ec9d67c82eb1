"""The record of a pretraining run, kept beside its weights, and its losses as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from convert.prefetch import BATCH
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

STEPS_A_POINT = 50  # of the loss curve, and between checkpoints
# What the first stage leaves, what it goes on from when it was stopped, and what gets quantised.
DISTILLED_FILE, STATE_FILE, WEIGHTS_FILE = "distilled.npz", "checkpoint.npz", "student.npz"
CURVE_FILE, RECORD_FILE = "loss.png", "pretrain.json"


class FineTuning(msgspec.Struct, kw_only=True):
    """The second stage, on the int8 grid."""

    windows: int
    started_from: str  # sha256 of the first stage's weights
    losses: list[float] = []  # as the first stage's
    rounding: list[float] = []  # squared difference of int8 and float answers, in the same unit


class Record(msgspec.Struct, kw_only=True):
    """What was done, kept beside the weights."""

    seed: int
    windows: int
    steps_done: int = 0
    teachers: dict[str, str]  # file -> sha256
    recordings: list[str]
    variance_kept: list[float]  # by the projections of the finer and the coarser grid
    losses: list[float] = []  # one for every `STEPS_A_POINT` steps; 1 is knowing nothing
    fine_tuning: FineTuning | None = None

    @property
    def steps(self) -> int:
        """Of the first stage, when it is done."""
        return self.windows // BATCH


def earlier_run(folder: Path, seed: int, windows: int) -> Record | None:
    """The record of the run to go on with; None where there is none.

    Raises:
        EarpatchError: the folder holds another run, or what is there is not whole.
    """
    path = folder / RECORD_FILE
    if not path.is_file():
        return None
    try:
        record = msgspec.json.decode(path.read_bytes(), type=Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EarpatchError(f"{path}: damaged ({error}); choose another folder") from None
    if (record.seed, record.windows) != (seed, windows):
        raise EarpatchError(
            f"{folder}: holds a run with --seed {record.seed} --windows {record.windows}; "
            "go on with these, or choose another folder"
        )
    distilled = record.steps_done == record.steps and (folder / DISTILLED_FILE).is_file()
    if record.steps_done and not distilled and not (folder / STATE_FILE).is_file():
        raise EarpatchError(f"{folder}: {STATE_FILE} is missing; choose another folder")
    return record


def write_record(record: Record, folder: Path) -> None:
    """Write the record whole or not at all, and the curve."""
    path = folder / RECORD_FILE
    partial = path.with_suffix(".part")
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
    partial.replace(path)
    draw_curve(record, folder / CURVE_FILE)


def draw_curve(record: Record, path: Path) -> None:
    """The losses of both stages as a picture."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    _plot(axes, record.losses, 0, record.windows, "distilled")
    tuned = record.fine_tuning
    if tuned is not None:
        _plot(axes, tuned.losses, record.windows, tuned.windows, "on the int8 grid")
        _plot(axes, tuned.rounding, record.windows, tuned.windows, "int8 against float")
    axes.set(xlabel="windows seen", ylabel="error (1: knowing nothing)", yscale="log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _plot(axes: Axes, losses: list[float], before: int, windows: int, label: str) -> None:
    seen = (np.arange(len(losses)) + 1) * STEPS_A_POINT * BATCH
    axes.plot(before + np.minimum(seen, windows), losses, label=label)
