"""A version on trial, tested on live sound; and another version that has become current."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from calibration.simulator import RATE_HZ, Machine
from edge import bundle_store
from edge import probation as probation_module
from edge.bundle import MANIFEST_FILE
from edge.bundle_store import VERSIONS, current_name, write_version
from edge.bundle_versions import roll_back
from edge.capture.settings import LivenessSettings, MicrophoneSource
from edge.capture.sound import Block
from edge.history import TrialStatus, read_history
from edge.inputs import Input
from edge.manifest import Manifest
from edge.probation import Probation
from edge.self_test import WANTED_S
from edge.settings import BundleSettings, EventSettings, InputSettings
from edge.starts import Starts
from edge.trial import MOST_TESTS
from tests.conftest import MACHINE, Site
from tests.edge.capture.test_capture import Scripted
from tests.edge.made import Files, files_of, tiny, with_manifest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.trial import Started

    FloatArray = NDArray[np.float32]

SINCE = "2026-11-25T10:00:00+00:00"
DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def sound() -> FloatArray:
    """Normal sound that was not learnt."""
    return MACHINE.normal(WANTED_S, 50).astype(np.float32)


@pytest.fixture(scope="module")
def other() -> FloatArray:
    """Of another machine."""
    return Machine(12).normal(WANTED_S, 50).astype(np.float32)


def deaf(site: Site) -> Files:
    """Thresholds that nothing reaches."""
    files = files_of(site)
    limits = msgspec.json.decode(files[MANIFEST_FILE], type=Manifest).thresholds
    return with_manifest(files, thresholds=msgspec.structs.replace(limits, alarm=1e6))


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause after a test that was missed, and a look at every turn."""
    monkeypatch.setattr(probation_module, "PAUSE_S", 0.0)
    monkeypatch.setattr(probation_module, "LOOK_EVERY_S", 0.0)


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Path:
    """A bundle with one good version."""
    write_version(tmp_path / "bundle", "v1", files_of(site))
    return tmp_path / "bundle"


def install(path: Path, name: str, files: Files) -> None:
    write_version(path, name, files, trial_since_utc=SINCE)


def inputs_of(path: Path, *names: str) -> list[Input]:
    starts, bundle = Starts(), BundleSettings(path=str(path))
    return [
        Input(
            InputSettings(name=name, source=MicrophoneSource(), bundle=bundle),
            LivenessSettings(), EventSettings(), source=Scripted([]), starts=starts,
        )
        for name in names or ("main",)
    ]  # fmt: skip


def hear(probation: Probation, each: Input, sound: FloatArray) -> None:
    """All of it, in the blocks in which it would come."""
    size = RATE_HZ // 10
    for first in range(0, len(sound), size):
        probation.hear(each, Block(sound[first : first + size], RATE_HZ, first / RATE_HZ))


def work_until(probation: Probation, condition: Callable[[], object]) -> None:
    """Turns of the loop."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "waited in vain"
        probation.work()
        time.sleep(0.005)


def test_a_good_version_passes_on_the_first_sound(
    site: Site, path: Path, sound: FloatArray, caplog: pytest.LogCaptureFixture
) -> None:
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])
    assert each.trial == ("on trial", "")
    with caplog.at_level(logging.INFO):
        hear(probation, each, sound)
        work_until(probation, lambda: each.trial.state == "passed")
    assert each.trial.note.startswith("v2 passed its self-test and stays: golden windows equal")
    assert read_history(path).passed == ["v2"]
    assert [r.levelname for r in caplog.records if "passed its self-test" in r.message] == ["INFO"]


def test_a_version_that_finds_nothing_is_left_after_three_tests_for_the_one_before(
    site: Site, path: Path, sound: FloatArray, caplog: pytest.LogCaptureFixture
) -> None:
    install(path, "v2", deaf(site))
    (each,) = inputs_of(path)
    probation, tuned_in = Probation([each]), each.bundle
    for number in range(1, MOST_TESTS):
        hear(probation, each, sound)
        work_until(probation, lambda n=number: f"missed self-test {n}" in each.trial.note)  # type: ignore[misc]
        assert each.trial.state == "on trial"
        assert each.bundle is tuned_in
    hear(probation, each, sound)
    work_until(probation, lambda: each.version == "v1")
    assert each.bundle is not tuned_in
    why = "v2: did not find the hiss and the tone that was added to the sound"
    assert each.trial == ("failed", why)
    assert current_name(path) == "v1"
    assert len([r for r in caplog.records if "Rolled back to v1" in r.message]) == 1


def test_a_version_that_takes_everything_for_an_alarm_misses_its_test(
    site: Site, path: Path, other: FloatArray
) -> None:
    """It was learnt from another machine than the one that is heard."""
    write_version(path, "calm", deaf(site))
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])
    hear(probation, each, other)
    work_until(probation, lambda: "learnt from another machine" in each.trial.note)
    assert each.trial.state == "on trial"


def test_sound_that_is_an_alarm_to_the_version_before_too_proves_nothing(
    site: Site, path: Path, other: FloatArray, caplog: pytest.LogCaptureFixture
) -> None:
    """The machine stands still: a good version waits until it runs."""
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])
    for _ in range(MOST_TESTS + 1):
        hear(probation, each, other)
        work_until(probation, lambda: probation._worker.busy)
        work_until(probation, lambda: not probation._worker.busy)
    assert (each.version, each.trial.state) == ("v2", "on trial")
    assert read_history(path).trials["v2"].tests == 0
    (line,) = (r.message for r in caplog.records if "self-test" in r.message)
    assert "to v1, the version before, the sound is an alarm too" in line


def test_inputs_that_share_a_bundle_share_its_trial(
    site: Site, path: Path, sound: FloatArray
) -> None:
    install(path, "v2", files_of(site, "v2"))
    one, two = inputs_of(path, "one", "two")
    probation = Probation([one, two])
    hear(probation, two, sound)
    work_until(probation, lambda: one.trial.state == "passed")
    assert two.trial == one.trial
    assert read_history(path).trials == {}


def test_a_version_on_no_trial_is_not_tested(
    path: Path, sound: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probation_module, "LOOK_EVERY_S", DEADLINE_S)
    (each,) = inputs_of(path)
    probation = Probation([each])
    hear(probation, each, sound)
    probation.work()
    assert not probation._worker.busy
    assert probation._sounds == {}


def test_the_loop_goes_on_while_a_test_is_made(
    site: Site, path: Path, sound: FloatArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what is heard meanwhile is not collected."""
    go_on = threading.Event()
    monkeypatch.setattr(probation_module, "self_test", lambda *_: go_on.wait(DEADLINE_S))
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])
    hear(probation, each, sound)
    for _ in range(3):
        probation.work()
        hear(probation, each, sound)
    assert probation._worker.busy
    assert probation._sounds == {}
    probation.close()
    go_on.set()
    work_until(probation, lambda: not probation._worker.busy)
    assert read_history(path).trials["v2"].tests == 0, "a node that has ended judges nothing"


def test_what_became_current_is_taken_up_whoever_made_it_so(
    site: Site, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Installed, calibrated in another process, rolled back to."""
    (each,) = inputs_of(path)
    probation = Probation([each])
    with caplog.at_level(logging.INFO):
        install(path, "v2", files_of(site, "v2"))
        work_until(probation, lambda: each.version == "v2")
        assert (each.trial.state, each.bundle.manifest.created_by) == ("on trial", "v2")
        write_version(path, "v3", files_of(site, "v3"))
        work_until(probation, lambda: each.version == "v3")
        assert each.trial == ("none", "")
        roll_back(path)
        work_until(probation, lambda: each.version == "v2")
        assert each.trial.state == "on trial"
    assert len([r for r in caplog.records if "main goes on with bundle" in r.message]) == 3


class Counting(Starts):
    """How often something was opened."""

    count = 0

    def open(self, bundle: BundleSettings) -> Started:
        """As it is."""
        self.count += 1
        return super().open(bundle)


def test_a_version_that_can_not_be_opened_is_one_line_and_the_old_one_goes_on(
    site: Site, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (each,) = inputs_of(path)
    probation, tuned_in = Probation([each]), each.bundle
    write_version(path, "v2", files_of(site, "v2"))
    (path / VERSIONS / "v2" / MANIFEST_FILE).write_bytes(b"worn out")
    each.starts = tried = Counting()
    work_until(probation, lambda: tried.count > 3)
    (line,) = (record.message for record in caplog.records)
    assert line.startswith("main: what is current now can't be used: ")
    assert "The one before goes on" in line
    assert (each.bundle is tuned_in, each.version) == (True, "v1")


def test_an_installed_version_that_can_not_be_opened_is_rolled_back_meanwhile(
    site: Site, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (each,) = inputs_of(path)
    probation, tuned_in = Probation([each]), each.bundle
    install(path, "v2", tiny(site, "v2"))
    work_until(probation, lambda: each.trial.state == "failed")
    assert each.bundle is tuned_in, "its detector was not begun anew"
    assert current_name(path) == "v1"
    (line,) = (record.message for record in caplog.records)
    assert "v2 failed: no TFLite runtime could load the model" in line
    assert "Rolled back to v1" in line


def test_a_verdict_that_can_not_be_kept_is_said_and_sought_again(
    site: Site,
    path: Path,
    sound: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    with monkeypatch.context() as patch:
        patch.setattr(bundle_store, "write_file", refuse)
        hear(probation, each, sound)
        work_until(probation, lambda: caplog.records)
    assert "can't be kept (Read-only file system)" in caplog.records[0].message
    assert each.trial.state == "on trial"
    hear(probation, each, sound)
    work_until(probation, lambda: each.trial.state == "passed")


def test_the_only_version_that_fails_is_told_and_goes_on(
    site: Site, tmp_path: Path, sound: FloatArray, caplog: pytest.LogCaptureFixture
) -> None:
    """A node that hears something is better than none; its next start says what to do."""
    path = tmp_path / "bundle"
    install(path, "v1", deaf(site))
    (each,) = inputs_of(path)
    probation = Probation([each])
    for number in range(1, MOST_TESTS + 1):
        hear(probation, each, sound)
        work_until(
            probation,
            lambda n=number: len([r for r in caplog.records if "did not find" in r.message]) == n,  # type: ignore[misc]
        )
    assert each.trial == TrialStatus(
        "failed", "v1: did not find the hiss and the tone that was added to the sound"
    )
    assert "no earlier version" in caplog.records[-1].message
    assert each.version == "v1"


def test_sound_that_is_no_sound_proves_nothing(
    site: Site, path: Path, sound: FloatArray, caplog: pytest.LogCaptureFixture
) -> None:
    install(path, "v2", files_of(site, "v2"))
    (each,) = inputs_of(path)
    probation = Probation([each])
    hear(probation, each, np.zeros_like(sound))
    work_until(probation, lambda: caplog.records)
    assert "main: the self-test came to nothing, and is made again" in caplog.records[0].message
    assert read_history(path).trials["v2"].tests == 0
    hear(probation, each, sound)
    work_until(probation, lambda: each.trial.state == "passed")
