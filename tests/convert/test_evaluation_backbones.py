"""Reports on the int8 backbones: how long they take, and what int8 costs."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
import soundfile
from scipy.spatial.distance import cdist

from calibration.backbones import builtin_backbone
from calibration.simulator import RATE_HZ, Machine
from calibration.survey import survey
from convert import evaluation_backbones
from convert.build import build_backbone, representative_windows
from convert.evaluation_backbones import halves_of
from convert.evaluation_latency import Latency, measure_latency
from convert.evaluation_quantisation import (
    Agreement,
    FloatStudent,
    compare,
    mean_agreement,
    measure_agreement,
    squared_distances,
)
from convert.evaluation_report import agreement_table, latency_table
from convert.main import main
from edge.errors import EarpatchError, RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource

CHILD_S = 120.0
SAVE_STUDENTS = """
import sys
from convert.student import make_student, to_network
from convert.student_file import save_network
for seed, path in enumerate(sys.argv[1:]):
    save_network(to_network(make_student(seed)), path)
"""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two recordings of 12 s of one machine."""
    folder = tmp_path_factory.mktemp("recordings") / "machine"
    folder.mkdir()
    for name in ("a", "b"):
        sound = Machine(3).normal(12.0, ord(name))
        soundfile.write(folder / f"{name}.wav", sound, RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The weights of two untrained students."""
    folder = tmp_path_factory.mktemp("students")
    paths = [folder / "0.npz", folder / "1.npz"]
    command = [sys.executable, "-c", SAVE_STUDENTS, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return paths


@pytest.fixture(scope="module")
def windows(recordings: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Normal and disturbed."""
    return representative_windows(survey(recordings))


@pytest.fixture(scope="module")
def normal(windows: tuple[NDArray[np.float32], NDArray[np.float32]]) -> NDArray[np.float32]:
    return windows[0]


@pytest.fixture(scope="module")
def source(students: list[Path], recordings: Path) -> BackboneSource:
    """The first student, quantised."""
    return build_backbone("student", students[0], survey(recordings))


def test_one_backbone_under_two_names_takes_the_same_time() -> None:
    backbone = builtin_backbone().backbone
    windows = np.random.default_rng(0).normal(0, 1, (3, 96, 128)).astype(np.float32)
    one, other = measure_latency({"builtin": backbone, "mn04": backbone}, windows, 60)
    assert (one.backbone, other.backbone) == ("builtin", "mn04")
    # The median of pairs; a busy machine disturbs it, another backbone's time would be ten-fold.
    assert one.ratio_to_mn04 is not None
    assert 0.2 < one.ratio_to_mn04 < 5
    assert other.ratio_to_mn04 == 1
    for row in (one, other):
        assert 0.05 < row.median_ms <= row.quantile_90_ms
        assert (row.runtime, row.version) == (backbone.runtime.name, backbone.runtime.version)


def test_latency_is_reported_without_any_set(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "--latency", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    row = msgspec.json.decode(line, type=Latency)
    assert row.backbone == "builtin"
    assert row.ratio_to_mn04 is None
    text = latency_table([row])
    assert f"{row.runtime} {row.version}" in text
    assert f" {row.median_ms:.2f} " in text


def test_int8_agrees_with_the_float_student_it_was_made_from_and_with_no_other(
    source: BackboneSource,
    students: list[Path],
    normal: NDArray[np.float32],
    recordings: Path,
    tmp_path: Path,
) -> None:
    """Untrained networks agree less well than trained ones."""
    found = [
        measure_agreement(
            halves_of(recordings),
            source,
            FloatStudent(weights, (normal, normal), tmp_path / f"float-{seed}"),
            tmp_path / f"set-{seed}",
        )
        for seed, weights in enumerate(students)
    ]
    own, other = found
    assert own.set == "machine"
    assert own.cells >= 12.0 / 0.08 * 15
    assert own.spearman > 0.7 > other.spearman
    assert own.spearman_top > other.spearman_top + 0.2


def test_the_float_student_is_equalised_as_the_artefact_was(
    source: BackboneSource,
    students: list[Path],
    windows: tuple[NDArray[np.float32], NDArray[np.float32]],
    tmp_path: Path,
) -> None:
    normal = windows[0]
    exact = FloatStudent(students[0], windows, tmp_path / "float").embed(normal[::40])
    output = source.backbone.output
    steps = np.stack([source.backbone.embed(window) for window in normal[::40]])
    quantised = output.scale * (steps.astype(np.float32) - output.zero_point)
    slope, offset = np.polyfit(exact.ravel(), quantised.ravel(), 1)
    assert slope == pytest.approx(1, abs=0.1)
    assert offset == pytest.approx(0, abs=0.1 * exact.std())


def test_weights_of_another_network_are_one_clear_error(
    normal: NDArray[np.float32], tmp_path: Path
) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    student = FloatStudent(tmp_path / "other.npz", (normal[:16], normal[:16]), tmp_path / "float")
    with pytest.raises(EarpatchError, match=r"other\.npz: not the weights of this student"):
        student.embed(normal[:1])


def test_the_top_is_what_float_finds_farthest() -> None:
    exact = np.arange(100, dtype=np.float64)
    int8 = np.arange(100, dtype=np.int32)
    same = compare("same", int8, exact)
    assert (same.set, same.cells) == ("same", 100)
    assert same.spearman == pytest.approx(1)
    assert same.spearman_top == pytest.approx(1)
    int8[95:] = int8[95:][::-1]
    found = compare("reversed", int8, exact)
    assert found.spearman > 0.99
    assert found.spearman_top == pytest.approx(-1)


def test_float_distances_are_those_to_the_nearest_row() -> None:
    random = np.random.default_rng(0)
    bank, queries = (random.normal(0, 1, (n, 7)).astype(np.float32) for n in (50, 3_000))
    expected = cdist(queries, bank, "sqeuclidean").min(axis=1)
    assert squared_distances(bank, queries) == pytest.approx(expected)


def test_sets_of_one_name_are_one_line() -> None:
    found = [
        Agreement(set=name, cells=cells, spearman=rho, spearman_top=rho / 2)
        for name, cells, rho in (("rain", 10, 0.8), ("rail", 5, 0.5), ("rain", 20, 0.6))
    ]
    rain, rail = mean_agreement(found)
    assert (rain.set, rain.cells) == ("rain", 30)
    assert rain.spearman == pytest.approx(0.7)
    assert rain.spearman_top == pytest.approx(0.35)
    assert rail == found[1]
    header, *lines = agreement_table([rain, rail]).splitlines()
    assert [len(line) for line in lines] == [len(header)] * 2


def test_one_recording_is_too_few_to_compare_on(recordings: Path, tmp_path: Path) -> None:
    found = halves_of(recordings)
    assert [path.name for path in found.normal] == ["a.wav"]
    assert [clip.path.name for clip in found.clips] == ["b.wav"]
    (tmp_path / "a.wav").write_bytes((recordings / "a.wav").read_bytes())
    with pytest.raises(RecordingError, match="one recording can't be both"):
        halves_of(tmp_path)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--quantisation"], "needs a folder of recordings, or --mixtures"),
        (["--quantisation", "nowhere"], "nowhere: no such folder"),
        (["--latency", "--plot", "a.png"], "--plot draws the table of systems"),
        (["--latency", "--weights", "nowhere"], "nowhere: no such folder"),
    ],
    ids=str,
)
def test_a_report_that_can_not_work_is_refused_in_one_line(
    capsys: pytest.CaptureFixture[str], options: list[str], complaint: str
) -> None:
    assert main(["evaluate", *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert complaint in line


def test_float_weights_that_the_artefact_was_not_made_from_are_refused(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    students: list[Path],
    recordings: Path,
) -> None:
    monkeypatch.setattr(evaluation_backbones, "STUDENT_WEIGHTS", students[0])
    assert main(["evaluate", "--quantisation", str(recordings)]) == 2
    assert f"was not made from {students[0]}" in capsys.readouterr().err
