"""From the command's options to systems, and what is refused before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from convert.build import MN04_FILE, YAMNET_FILE
from convert.evaluation_choice import choose_systems
from convert.main import _parser, main

if TYPE_CHECKING:
    from pathlib import Path

BASELINES = ["log-mel 1-NN", "log-mel Mahalanobis", "DCASE autoencoder"]


def chosen(*options: str) -> list[str]:
    arguments = _parser().parse_args(["evaluate", *options])
    return [system.name for system in choose_systems(arguments)]


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A folder with the files of two of the three teachers."""
    for name in (MN04_FILE, YAMNET_FILE):
        (tmp_path / name).touch()
    return tmp_path


def test_without_options_the_built_in_backbone_stands_beside_the_baselines() -> None:
    assert chosen() == ["builtin", *BASELINES]
    assert chosen("--bundle", "pump") == ["pump", *BASELINES]
    assert chosen("--backbone", "random", "--backbone", "random") == ["random", *BASELINES]


def test_a_folder_of_weights_brings_every_teacher_that_lies_in_it(weights: Path) -> None:
    names = ["builtin", "random", "mn04", "yamnet", *BASELINES]
    assert chosen("--weights", str(weights)) == names
    assert chosen("--weights", str(weights), "--backbone", "yamnet") == ["yamnet", *BASELINES]


def refusal(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    """The one line on stderr."""
    assert main(["evaluate", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    return line


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--backbone", "yamnet"], "needs --weights, a folder with yamnet"),
        (["--weights", "nowhere"], "nowhere: no such folder"),
        (["--weights", "nowhere", "--backbone", "mn04"], "--backbone mn04 needs it"),
        (["--normal", "a"], "--normal and --anomalous go together"),
        (["--root", "a"], "--root and --layout go together"),
        (["--simulated-clips", "0"], "nothing to evaluate on"),
        (["--simulated-clips", "0", "--mixtures", "nowhere"], "nowhere: no esc10/"),
    ],
    ids=str,
)
def test_what_can_not_work_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert complaint in refusal(capsys, *options)


def test_a_folder_without_any_teacher_is_refused(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert "holds none of mn04_as_mAP_432.pt" in refusal(capsys, "--weights", str(tmp_path))
