"""The report of a calibration: what a technician needs to judge it, on one page of its own."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from msgspec import structs

from calibration.backbones import builtin_backbone
from calibration.coverage import BINS, MOST_RADII, coverage_of, uncovered_share
from calibration.curves import HEIGHT, WIDTH
from calibration.learn import BankLimits, Learnt, learn
from calibration.report import GO_ON, default_report, next_steps, report_page
from calibration.scale_fit import Segment
from calibration.simulator import RATE_HZ, Machine
from calibration.survey import survey
from convert.main import main
from edge.bundle import open_bundle
from tests.calibration.pages import Page

if TYPE_CHECKING:
    from tests.conftest import Site

SMALL = BankLimits(200, 10**6)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `normal`, of three recordings with different levels."""
    folder = tmp_path_factory.mktemp("place")
    (folder / "normal").mkdir()
    for number, gain in enumerate((1.0, 0.5, 0.7)):
        sound = gain * Machine(5).normal(8.0, number)
        soundfile.write(folder / "normal" / f"<b>{number}.wav", sound, RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def learnt(place: Path) -> Learnt:
    """What was learnt from them."""
    return learn(place / "bundle", builtin_backbone(), survey(place / "normal"), SMALL)


@pytest.fixture(scope="module")
def page(place: Path, learnt: Learnt) -> Page:
    """The report on it."""
    return Page(report_page(place / "bundle", learnt))


def calibrate(site: Site, bundle: Path, *options: str) -> int:
    arguments = ["calibrate", str(bundle), "--normal", str(site.normal), "--bank-rows", "50"]
    return main([*arguments, *options])


def test_a_report_needs_nothing_but_itself(page: Page) -> None:
    page.assert_needs_nothing_else()
    assert not re.search(r"https?://", page.source)


def test_it_tells_the_level_of_the_quietest_and_the_loudest_recording(
    page: Page, learnt: Learnt
) -> None:
    levels = [recording.level_dbfs for recording in learnt.manifest.recordings]
    assert f"The quietest is <b>1.wav with {min(levels):.1f} dBFS" in page.text
    assert f"the loudest <b>0.wav with {max(levels):.1f} dBFS" in page.text


def test_it_tells_what_was_promised_and_how_sure_that_is(page: Page, learnt: Learnt) -> None:
    assert "Asked for: a false alarm about once a day" in page.text
    assert f"{learnt.promise.samples} independent samples" in page.text
    assert "With 90 % confidence the true rate lies between" in page.text
    assert "It is extrapolated" in page.text


def test_it_tells_what_came_of_the_check_or_that_there_was_none(
    place: Path, page: Page, learnt: Learnt
) -> None:
    assert "Not checked" in page.text
    checked = replace(learnt, checked_s=86_400.0, alarms_in_check=0)
    assert "fewer than 3 a day" in Page(report_page(place, checked)).text
    alarmed = replace(learnt, checked_s=43_200.0, alarms_in_check=6)
    text = Page(report_page(place, alarmed)).text
    assert "6 alarms in the last 12 h, of which nothing was learnt" in text
    assert "about 12 times a day" in text


def test_it_says_what_to_do_next_the_most_urgent_first(learnt: Learnt) -> None:
    promise = replace(learnt.promise, per_day=1.0, low=0.7, high=1.4)
    manifest = learnt.manifest
    even = [structs.replace(r, level_dbfs=-30.0, duration_s=900.0) for r in manifest.recordings]
    good = replace(learnt, promise=promise, manifest=structs.replace(manifest, recordings=even))
    assert next_steps(good) == list(GO_ON)
    worse = replace(good, checked_s=8_640.0, alarms_in_check=5)
    assert next_steps(worse)[0].startswith("Listen to the end of the last recordings")
    uneven = [structs.replace(even[0], level_dbfs=-60.0), *even[1:]]
    steps = next_steps(replace(good, manifest=structs.replace(manifest, recordings=uneven)))
    assert "they differ by 30 dB" in steps[0]
    assert next_steps(learnt)[-3].startswith("Record more normal sound")


def test_the_curve_of_the_tail_is_dashed_where_nothing_was_heard(page: Page) -> None:
    lines = page.all("polyline")
    assert lines[-1]["stroke-dasharray"] == "5 4"
    assert all(line["stroke-dasharray"] in {"", "5 4"} for line in lines)
    dashed = [float(point.split(",")[1]) for point in lines[-1]["points"].split()]
    assert dashed == sorted(dashed), "the higher the score, the rarer: downwards on the page"
    counted = page.all("circle")
    assert len(counted) == 65
    for circle in counted:
        assert 0 < float(circle["cx"]) < WIDTH
        assert 0 < float(circle["cy"]) < HEIGHT
    assert max(float(circle["cy"]) for circle in counted) <= dashed[-1]


def test_the_spectrogram_of_an_overview_is_narrow_and_of_all_sound(learnt: Learnt) -> None:
    columns, bands = learnt.overview_db.shape
    assert columns == 300  # 24 s at 80 ms
    assert bands == len(learnt.manifest.bands_db)
    halves = learnt.overview_db[:100].mean(), learnt.overview_db[100:200].mean()
    assert halves[0] - halves[1] == pytest.approx(6.0, abs=1.5), "the second was half as loud"


def test_the_coverage_counts_every_held_out_cell(learnt: Learnt) -> None:
    columns = round(learnt.manifest.thresholds.held_out_s / 0.08)
    assert len(learnt.coverage) == BINS
    assert sum(learnt.coverage) == columns * learnt.manifest.rows


def test_cells_farther_than_the_cover_radius_are_uncovered() -> None:
    distances = np.asarray([[0.0, 0.99, 1.01, 1.99, 2.0, 50.0]], np.float32)
    counts = coverage_of([Segment(3 * distances, distances)], 3.0)
    assert counts[0] == 1
    assert counts[-1] == 3
    assert uncovered_share(counts) == pytest.approx(4 / 6)
    assert counts[round(BINS / MOST_RADII) - 1] == 1
    assert sum(coverage_of([Segment(distances, distances)], 0.0)) == 6


def test_a_thousand_recordings_still_make_a_small_page(place: Path, learnt: Learnt) -> None:
    manifest = structs.replace(learnt.manifest, recordings=learnt.manifest.recordings * 400)
    text = report_page(place, replace(learnt, manifest=manifest))
    assert len(text) < 1_000_000
    assert "Each bar is the median of 10 in a row" in Page(text).text


def test_calibrate_writes_the_report_beside_the_bundle(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert calibrate(site, tmp_path / "pump") == 0
    report = tmp_path / "pump-report.html"
    assert f"report: {report}" in capsys.readouterr().out
    page = Page(report.read_text(encoding="utf-8"))
    page.assert_needs_nothing_else()
    assert open_bundle(tmp_path / "pump").manifest.bundle_id in page.text
    assert {path.name for path in tmp_path.iterdir()} == {"pump", "pump-report.html"}


def test_the_report_goes_where_it_is_wanted_or_nowhere(site: Site, tmp_path: Path) -> None:
    assert calibrate(site, tmp_path / "a", "--report", str(tmp_path / "mine.html")) == 0
    assert calibrate(site, tmp_path / "b", "--no-report") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b", "mine.html"}


def test_a_report_that_cannot_be_written_leaves_the_calibration_standing(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    report = tmp_path / "file" / "report.html"
    assert calibrate(site, tmp_path / "bundle", "--report", str(report)) == 0
    told = capsys.readouterr()
    assert f"earpatch: no report: {report}: can't be written" in told.err
    assert "report:" not in told.out
    assert open_bundle(tmp_path / "bundle").bank.size == 50


def test_a_report_inside_the_bundle_is_refused_before_anything_is_learnt(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "bundle"
    assert calibrate(site, bundle, "--report", str(bundle / "r.html")) == 2
    assert "lies in the bundle's folder" in capsys.readouterr().err
    assert not bundle.exists()


def test_the_report_of_a_bundle_named_by_dots_lies_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pump" / "deeper").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "pump" / "deeper")
    assert default_report(Path("..")) == tmp_path / "pump-report.html"
    assert default_report(Path()) == tmp_path / "pump" / "deeper-report.html"
