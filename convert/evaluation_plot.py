"""The results as one picture: a panel a set, a line a system."""

from __future__ import annotations

import math
import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from convert.evaluation_results import Result

SUFFIX = ".png"
COLUMNS = 3
PANEL_WIDTH, LINE_HEIGHT, MARGIN_HEIGHT = 4.6, 0.28, 1.1  # inches
CLIP_COLOUR, CELL_COLOUR = "#1f5fa8", "#d1495b"
CHANCE = 0.5


def check_plot(target: Path) -> None:
    """Refuse what would fail after all the work is done.

    Raises:
        EarpatchError: matplotlib is missing, or the file can't be written.
    """
    if find_spec("matplotlib") is None:
        raise EarpatchError("--plot needs matplotlib: in a clone, pip install '.[desktop]'")
    if target.suffix.lower() != SUFFIX:
        raise EarpatchError(f"{target}: --plot writes a picture, so its name ends in {SUFFIX}")
    folder = target.absolute().parent
    if not folder.is_dir():
        raise EarpatchError(f"{folder}: no such folder")
    if target.is_dir():
        raise EarpatchError(f"{target}: is a folder")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise EarpatchError(f"{target}: can't be written")


def plot(results: Sequence[Result], target: Path) -> None:
    """Write the picture: clip AUC with its interval, and cell AUROC where it is known.

    Raises:
        EarpatchError: it can't be written.
    """
    import matplotlib as mpl  # noqa: PLC0415  (takes a second)

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    sets = list(dict.fromkeys(result.set for result in results))
    systems = list(dict.fromkeys(result.system for result in results))
    columns = min(COLUMNS, len(sets))
    rows = math.ceil(len(sets) / columns)
    size = (PANEL_WIDTH * columns + 1, (LINE_HEIGHT * len(systems) + MARGIN_HEIGHT) * rows + 0.4)
    figure, grid = plt.subplots(
        rows, columns, figsize=size, sharex=True, sharey=True, squeeze=False, layout="constrained"
    )
    for axes, name in zip(grid.flat, sets, strict=False):
        _panel(axes, name, [r for r in results if r.set == name], systems)
    for axes in grid.flat[len(sets) :]:
        axes.set_axis_off()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    try:
        figure.savefig(target, dpi=120)
    except OSError as error:
        raise EarpatchError(f"{target}: can't be written ({error.strerror or error})") from None
    finally:
        plt.close(figure)


def _panel(axes: Any, name: str, results: Sequence[Result], systems: Sequence[str]) -> None:
    lines = [systems.index(result.system) for result in results]
    clips = [result.clip for result in results]
    below = [max(0.0, clip.auc - clip.auc_low) for clip in clips]
    above = [max(0.0, clip.auc_high - clip.auc) for clip in clips]
    axes.errorbar(
        [clip.auc for clip in clips], lines, xerr=(below, above),
        fmt="o", color=CLIP_COLOUR, capsize=2.5, label="clip AUC, with its 95 % interval",
    )  # fmt: skip
    cells = [math.nan if result.cell is None else result.cell.auroc for result in results]
    axes.plot(cells, lines, "D", color=CELL_COLOUR, fillstyle="none", label="cell AUROC")
    axes.axvline(CHANCE, color="grey", lw=0.8, ls=":")
    axes.set_title(name, fontsize="medium")
    axes.set_yticks(range(len(systems)), systems)
    axes.set_ylim(len(systems) - 0.5, -0.5)
    axes.tick_params(labelbottom=True)
    axes.grid(axis="x", alpha=0.3)
