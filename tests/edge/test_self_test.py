"""The self-test: passes what works, and only that."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs
from scipy import signal

from calibration.simulator import RATE_HZ, Machine
from edge.errors import RecordingError
from edge.golden import check
from edge.self_test import MOST_ALARMED, SHORTEST_S, WANTED_S, SelfTestReport, faults_for, self_test
from tests.conftest import MACHINE, Site
from tests.edge.made import moved

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle


@pytest.fixture(scope="module")
def sound() -> NDArray[np.float32]:
    """Normal sound that was not learnt."""
    return MACHINE.normal(WANTED_S, 50).astype(np.float32)


def deaf(bundle: Bundle) -> Bundle:
    """Thresholds that nothing reaches."""
    limits = structs.replace(bundle.manifest.thresholds, alarm=1e6)
    return replace(bundle, manifest=structs.replace(bundle.manifest, thresholds=limits))


def test_a_good_bundle_finds_both_faults_in_sound_that_is_normal(
    site: Site, sound: NDArray[np.float32]
) -> None:
    report = self_test(site.open(), sound, RATE_HZ)
    assert report.passed
    assert report.alarmed_share < MOST_ALARMED
    assert set(report.scores) == {"hiss", "tone"}
    assert all(score is not None and score > 2 for score in report.scores.values())
    assert report.line.startswith("golden windows equal, added faults found with scores hiss ")


def test_sound_at_a_rate_at_which_the_bundle_alarms_all_the_time_fails(
    site: Site, sound: NDArray[np.float32]
) -> None:
    """A microphone that is slower than the one that calibrated: its highest rows are silent."""
    slower = signal.resample_poly(sound, 1, 2).astype(np.float32)
    report = self_test(site.open(), slower, RATE_HZ // 2)
    assert not report.passed
    assert "of the sound as it came are an alarm" in report.line


def test_a_bundle_that_finds_nothing_fails(site: Site, sound: NDArray[np.float32]) -> None:
    report = self_test(deaf(site.open()), sound, RATE_HZ)
    assert not report.passed
    assert report.line == "did not find the hiss and the tone that was added to the sound"


def test_a_bundle_of_another_machine_fails(site: Site) -> None:
    """It finds the faults too: everything is one."""
    other = Machine(12).normal(WANTED_S, 50).astype(np.float32)
    report = self_test(site.open(), other, RATE_HZ)
    assert not report.passed
    assert "of the sound as it came are an alarm: learnt from another machine" in report.line


def test_a_bundle_whose_golden_windows_differ_fails(site: Site, sound: NDArray[np.float32]) -> None:
    report = self_test(moved(site.open(), steps=30, share=0.5), sound, RATE_HZ)
    assert not report.passed
    assert report.line.startswith("golden windows: different")


def test_sound_that_is_too_short_or_silent_proves_nothing(site: Site) -> None:
    short = np.ones(round(SHORTEST_S * RATE_HZ) - 1, np.float32)
    with pytest.raises(RecordingError, match=r"a self-test needs 20 s"):
        self_test(site.open(), short, RATE_HZ)
    with pytest.raises(RecordingError, match="silence"):
        self_test(site.open(), np.zeros(round(SHORTEST_S * RATE_HZ), np.float32), RATE_HZ)


@pytest.mark.parametrize("limit_hz", [2_000.0, 4_000.0, 24_000.0])
def test_the_added_faults_lie_apart_and_within_what_is_heard(limit_hz: float) -> None:
    hiss, tone = faults_for(SHORTEST_S, limit_hz)
    assert tone.high_hz < hiss.low_hz < hiss.high_hz < limit_hz
    assert 5.0 < hiss.start_s < hiss.end_s < tone.start_s - 2.0
    assert tone.end_s < SHORTEST_S - 1.0


@pytest.mark.parametrize(
    ("alarmed_share", "score", "passed"), [(0.5, 1.0, True), (0.51, 1.0, False), (0.0, None, False)]
)
def test_what_a_report_decides(
    site: Site, alarmed_share: float, score: float | None, passed: bool
) -> None:
    report = SelfTestReport(check(site.open()), alarmed_share, {"hiss": 2.0, "tone": score})
    assert report.passed is passed
