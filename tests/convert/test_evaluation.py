"""`earpatch evaluate`: systems learn and judge sets, and a table says how well."""

from __future__ import annotations

import math
import tempfile
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from calibration.backbones import source_of_bundle
from convert.evaluate import evaluate
from convert.evaluation_baselines import LogMelMahalanobis, LogMelNeighbour
from convert.evaluation_metrics import CellMetrics, ClipMetrics, EventMetrics
from convert.evaluation_report import table
from convert.evaluation_results import Result
from convert.evaluation_sets import Clip, EvaluationSet
from convert.evaluation_systems import Earpatch, Judgement
from tests.convert.evaluation_sounds import KINDS, make_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.conftest import Site


class Listener:
    """A system that notes where it may write, and hears the same in every clip."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.folders: list[Path] = []

    def learn(self, normal: Sequence[Path], folder: Path) -> None:
        """Take the folder as `Earpatch` does: it must be new."""
        assert normal
        (folder / "normal").mkdir(parents=True)
        self.folders.append(folder.resolve())

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """Nothing, on a grid that lacks the highest row."""
        for path in paths:
            assert path.is_file()
            yield Judgement(0.0, np.zeros((48, 15), np.float32), None)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> EvaluationSet:
    return make_set(tmp_path_factory.mktemp("sets") / "small")


def result(name: str = "pump", system: str = "log-mel 1-NN", *, known: bool = True) -> Result:
    return Result(
        set=name,
        system=system,
        machines=1,
        normal_clips=12,
        anomalous_clips=7,
        clip=ClipMetrics(0.91, 0.8, 0.97, 0.6),
        cell=CellMetrics(0.95, 0.4, 0.7) if known else None,
        event=EventMetrics(0.5, None) if known else None,
    )


def test_every_system_and_kind_is_a_row_against_all_normal_clips(small: EvaluationSet) -> None:
    results = evaluate([LogMelNeighbour(), LogMelMahalanobis()], [small])
    assert {(r.set, r.system) for r in results} == {
        (f"small, {kind}", system)
        for kind in KINDS
        for system in ("log-mel 1-NN", "log-mel Mahalanobis")
    }
    assert len(results) == 4
    for row in results:
        assert (row.machines, row.normal_clips, row.anomalous_clips) == (1, 2, 2)
        assert row.clip.auc == 1
        assert row.cell is not None
        assert row.cell.auroc > 0.9
        assert row.event is not None
        assert row.event.f1_at_alarm is None


def test_earpatch_itself_is_measured_at_the_alarm_level_that_it_sets(
    small: EvaluationSet, site: Site
) -> None:
    system = Earpatch("builtin", lambda _: source_of_bundle(site.bundle_path))
    for row in evaluate([system], [small]):
        assert row.clip.auc == 1
        assert row.event is not None
        assert row.event.f1_at_alarm is not None


def test_sets_of_one_name_are_one_row_with_the_mean_of_its_machines(
    small: EvaluationSet,
) -> None:
    swapped = [Clip(c.path, anomalous=not c.anomalous) for c in small.clips]
    plain = [Clip(c.path, anomalous=c.anomalous) for c in small.clips]
    sets = [EvaluationSet("pumps", small.normal, clips) for clips in (plain, swapped)]
    (row,) = evaluate([LogMelMahalanobis()], sets)
    assert (row.set, row.machines, row.normal_clips, row.anomalous_clips) == ("pumps", 2, 6, 6)
    assert row.clip.auc == pytest.approx((1 + 0) / 2)
    assert row.cell is None
    assert row.event is None


def test_clips_of_each_snr_are_judged_against_all_normal_clips(small: EvaluationSet) -> None:
    """The two faulty clips of a kind get the labels that make one SNR easy and one impossible."""
    plain = [clip for clip in small.clips if not clip.anomalous]
    faulty = next(clip for clip in small.clips if clip.anomalous)
    clips = [
        Clip(plain[0].path, anomalous=False),
        Clip(plain[0].path, anomalous=True, snr_db=-6.0),
        Clip(faulty.path, anomalous=True, snr_db=6.0),
        Clip(faulty.path, anomalous=True, snr_db=6.0),
    ]
    sets = [EvaluationSet("mixed", small.normal, chosen) for chosen in (clips, clips[:2])]
    (row,) = evaluate([LogMelMahalanobis()], sets)
    assert row.auc_by_snr == {"-6": 0.5, "+6": 1.0}
    assert row.clip.auc == pytest.approx((2.5 / 3 + 0.5) / 2)
    assert msgspec.json.decode(msgspec.json.encode(row))["auc_by_snr"] == row.auc_by_snr
    (unmixed, _) = evaluate([LogMelMahalanobis()], [small])
    assert b"auc_by_snr" not in msgspec.json.encode(unmixed)


def test_a_set_without_normal_clips_has_no_row(small: EvaluationSet) -> None:
    faulty = [clip for clip in small.clips if clip.anomalous]
    sets = [EvaluationSet("small", small.normal, faulty)]
    assert evaluate([LogMelMahalanobis()], sets) == []


def test_a_map_that_lacks_the_highest_rows_is_judged_where_it_exists(
    small: EvaluationSet,
) -> None:
    (row, _) = evaluate([Listener("short")], [small])
    assert row.cell is not None
    assert row.cell.auroc == 0.5
    assert row.clip.auc == 0.5


def test_a_kind_that_is_nowhere_audible_has_no_cell_metrics(small: EvaluationSet) -> None:
    silent = [
        Clip(c.path, c.anomalous, mask=None if c.mask is None else np.zeros_like(c.mask))
        for c in small.clips
    ]
    (row,) = evaluate([Listener("deaf")], [EvaluationSet("small", small.normal, silent)])
    assert row.cell is None
    assert row.clip.auc == 0.5


@pytest.mark.parametrize("name", ["a", "/srv/bundles/a", "../a", "../../a", "../../../a"])
def test_a_system_learns_every_set_in_a_folder_of_its_own(
    small: EvaluationSet, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle's path is its system's name."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    listener = Listener(name)
    evaluate([listener], [small, small])
    first, second = listener.folders
    assert first != second
    assert list(tmp_path.rglob("*")) == [temporary], "all that was written is gone again"


@pytest.mark.parametrize("system", ["log-mel 1-NN", "/srv/earpatch/bundles/pump-station-4"])
def test_the_table_is_aligned(system: str) -> None:
    rows = [
        result(),
        result(system=system, known=False),
        result("mixture, slide rail"),
        result("simulated, bearing impacts"),
    ]
    header, *lines = table(rows).splitlines()
    assert [len(line) for line in lines] == [len(header)] * 4
    assert lines[0].startswith("pump ")
    assert lines[1].startswith("     "), "a set is named once"
    assert "0.800-0.970" in lines[0]
    assert lines[1].split()[-5:] == ["-"] * 5


def test_what_can_not_be_measured_keeps_its_place_in_the_table() -> None:
    unknown = Result(
        set="pump", system="x", machines=1, normal_clips=0, anomalous_clips=3,
        clip=ClipMetrics(*4 * (math.nan,)), cell=None, event=None,
    )  # fmt: skip
    header, line = table([unknown]).splitlines()
    assert len(line) == len(header)
