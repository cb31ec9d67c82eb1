"""The results as one picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from matplotlib import image

from convert import evaluation_plot
from convert.evaluation_metrics import CellMetrics, ClipMetrics
from convert.evaluation_plot import check_plot, plot
from convert.evaluation_results import Result
from convert.main import main
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def result(name: str, system: str, auc: float, auroc: float | None) -> Result:
    return Result(
        set=name, system=system, machines=1, normal_clips=8, anomalous_clips=8,
        clip=ClipMetrics(auc, auc - 0.1, min(1.0, auc + 0.1), 0.6),
        cell=None if auroc is None else CellMetrics(auroc, 0.4, 0.7), event=None,
    )  # fmt: skip


def coloured(path: Path, colour: str) -> int:
    """How many pixels have just this colour."""
    picture: NDArray[np.uint8] = np.rint(255 * image.imread(path)[..., :3]).astype(np.uint8)
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return int((picture == wanted).all(axis=-1).sum())


def test_every_set_is_a_panel_and_more_panels_make_a_larger_picture(tmp_path: Path) -> None:
    one = [result("rain", system, 0.9, 0.8) for system in ("builtin", "random")]
    four = [result(f"set {n}", system, 0.9, 0.8) for n in range(4) for system in ("a", "b")]
    plot(one, tmp_path / "one.png")
    plot(four, tmp_path / "four.png")
    first, second = (image.imread(tmp_path / name).shape for name in ("one.png", "four.png"))
    assert second[0] > 1.5 * first[0]
    assert second[1] > 2 * first[1]


def test_cell_auroc_is_drawn_where_it_is_known(tmp_path: Path) -> None:
    """The legend shows the colour once in any case."""
    plot([result("rain", "builtin", 0.9, 0.7)], tmp_path / "known.png")
    plot([result("rain", "builtin", 0.9, None)], tmp_path / "unknown.png")
    known, unknown = (
        coloured(tmp_path / name, evaluation_plot.CELL_COLOUR)
        for name in ("known.png", "unknown.png")
    )
    assert known > unknown > 0


def test_what_could_not_be_measured_does_not_stop_the_picture(tmp_path: Path) -> None:
    nothing = Result(
        set="pump", system="x", machines=1, normal_clips=0, anomalous_clips=3,
        clip=ClipMetrics(*4 * (math.nan,)), cell=None, event=None,
    )  # fmt: skip
    plot([nothing], tmp_path / "a.png")
    assert image.imread(tmp_path / "a.png").shape[0] > 50


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("nowhere/a.png", "nowhere: no such folder"),
        ("a.svg", r"its name ends in \.png"),
        ("folder.png", "is a folder"),
        ("file/a.png", "file: no such folder"),
    ],
)
def test_a_picture_that_can_t_be_written_is_refused(
    tmp_path: Path, name: str, complaint: str
) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(EarpatchError, match=complaint):
        check_plot(tmp_path / name)


def test_a_folder_that_may_not_be_written_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's answer is made up: an administrator may write anywhere."""
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(EarpatchError, match=r"a\.png: can't be written"):
        check_plot(tmp_path / "a.png")


def test_a_missing_matplotlib_is_said_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(evaluation_plot, "find_spec", lambda _: None)
    assert main(["evaluate", "--plot", str(tmp_path / "a.png")]) == 2
    assert "--plot needs matplotlib" in capsys.readouterr().err
