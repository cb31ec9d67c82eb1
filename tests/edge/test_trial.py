"""Trials: counted, judged, rolled back; the same after a power cut between any two steps."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from edge import bundle_versions
from edge import trial as trial_module
from edge.bundle import BACKBONE_FILE
from edge.bundle_pruning import KEPT_GOOD, prune
from edge.bundle_store import VERSIONS, current_name, write_version
from edge.bundle_versions import list_versions, roll_back
from edge.errors import BundleError
from edge.golden import GoldenReport, Shift
from edge.golden_file import encode_golden
from edge.runtime import RuntimeInfo
from edge.self_test import SelfTestReport
from edge.trial import MOST_STARTS, MOST_TESTS, Trial, is_replaced, start
from tests.edge.made import Files, files_of, moved, tiny, with_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from edge.golden import Verdict
    from tests.conftest import Site

SINCE = "2026-11-25T10:00:00+00:00"
HERE = RuntimeInfo("tflite-runtime", "2.14.0", "optimised", "x86_64")


def report(*, found: bool, verdict: Verdict = "equal") -> SelfTestReport:
    golden = GoldenReport(verdict, HERE, HERE, 7, 1.0, 0, Shift())
    return SelfTestReport(golden, 0.0, {"hiss": 9.0, "tone": 9.0 if found else None})


def installed(path: Path, name: str, files: Files) -> Trial:
    write_version(path, name, files, trial_since_utc=SINCE)
    return Trial(path)


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Path:
    """A bundle with one good version."""
    write_version(tmp_path / "bundle", "v1", files_of(site))
    return tmp_path / "bundle"


def test_a_version_that_was_calibrated_here_is_on_no_trial(path: Path) -> None:
    assert Trial(path).state == "none"
    assert Trial(path).begin() is None
    assert Trial(path).judge(report(found=False)) is None
    assert current_name(path) == "v1"


def test_a_version_that_passes_stays(site: Site, path: Path) -> None:
    trial = installed(path, "v2", tiny(site, "v2"))
    assert trial.state == "on trial"
    assert trial.begin() is None
    note = trial.judge(report(found=True))
    assert note is not None
    assert "v2 passed its self-test and stays" in note
    assert (trial.state, current_name(path)) == ("passed", "v2")
    assert Trial(path).begin() is None


def test_a_version_that_misses_its_test_three_times_is_rolled_back(site: Site, path: Path) -> None:
    trial = installed(path, "v2", tiny(site, "v2"))
    for number in range(1, MOST_TESTS):
        note = trial.judge(report(found=False))
        assert note is not None
        assert f"missed self-test {number} of {MOST_TESTS}: did not find the tone" in note
        assert trial.state == "on trial"
    note = trial.judge(report(found=False))
    assert note is not None
    assert "v2 failed: did not find the tone that was added" in note
    assert note.endswith("Rolled back to v1")
    assert current_name(path) == "v1"
    assert {v.name: v.state for v in list_versions(path)} == {"v1": "current", "v2": "failed"}


def test_different_golden_windows_need_no_second_test(site: Site, path: Path) -> None:
    installed(path, "v2", tiny(site, "v2")).judge(report(found=True, verdict="different"))
    assert current_name(path) == "v1"


def test_a_version_that_ends_the_node_each_time_is_rolled_back(site: Site, path: Path) -> None:
    """A model that crashes the runtime leaves nobody to judge it."""
    trial = installed(path, "v2", tiny(site, "v2"))
    for _ in range(MOST_STARTS):
        assert trial.begin() is None
    note = trial.begin()
    assert note is not None
    assert f"started {MOST_STARTS} times without passing its self-test" in note
    assert current_name(path) == "v1"


def test_the_only_version_fails_with_what_to_do(site: Site, tmp_path: Path) -> None:
    trial = installed(tmp_path / "bundle", "v1", tiny(site, "v1"))
    with pytest.raises(BundleError, match=r"v1 failed: deaf\. .*'earpatch calibrate' makes"):
        trial.fail("deaf")
    assert trial.state == "failed"
    with pytest.raises(BundleError, match="v1 failed: deaf"):
        start(tmp_path / "bundle")


def test_a_failed_version_is_left_by_calibrating_anew(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    with pytest.raises(BundleError):
        installed(path, "v1", tiny(site, "v1")).fail("deaf")
    write_version(path, "v2", files_of(site))
    assert start(path).notes == []


def test_a_node_starts_with_a_good_version_without_a_word(path: Path) -> None:
    started = start(path)
    assert (started.golden.verdict, started.on_trial, started.notes) == ("equal", False, [])


def test_a_node_starts_with_a_version_on_trial_and_is_told_so(site: Site, path: Path) -> None:
    installed(path, "v2", files_of(site, "v2"))
    started = start(path)
    assert started.on_trial
    assert started.bundle.manifest.created_by == "v2"


def test_a_node_can_see_that_another_version_is_current_by_now(site: Site, path: Path) -> None:
    version = start(path).version
    assert not is_replaced(path, version)
    installed(path, "v2", files_of(site, "v2"))
    assert is_replaced(path, version)
    roll_back(path)
    assert not is_replaced(path, version)


def test_a_node_leaves_a_version_that_can_not_be_opened(site: Site, path: Path) -> None:
    """No runtime loads it; the digests are right."""
    installed(path, "v2", tiny(site, "v2"))
    started = start(path)
    assert "v2 failed: no TFLite runtime could load the model" in started.notes[0]
    assert not started.on_trial
    assert current_name(path) == "v1"


def test_a_node_leaves_a_version_whose_golden_windows_differ(site: Site, path: Path) -> None:
    files = files_of(site)
    golden = encode_golden(moved(site.open(), steps=30, share=0.5).golden)
    installed(path, "v2", with_manifest({**files, "golden.bin": golden}))
    started = start(path)
    assert "v2 failed: golden windows: different" in started.notes[0]
    assert current_name(path) == "v1"


def test_a_damaged_version_that_is_on_no_trial_is_an_error(path: Path) -> None:
    (path / VERSIONS / "v1" / BACKBONE_FILE).write_bytes(b"worn out")
    with pytest.raises(BundleError, match="does not match the manifest"):
        start(path)


def test_golden_windows_that_differ_within_the_tolerance_are_told(
    site: Site, tmp_path: Path
) -> None:
    golden = encode_golden(moved(site.open(), steps=1, share=0.01).golden)
    files = with_manifest({**files_of(site), "golden.bin": golden})
    write_version(tmp_path / "bundle", "v1", files)
    (note,) = start(tmp_path / "bundle").notes
    assert note.startswith("golden windows: within one step: 99.")


def test_a_trial_of_a_version_that_was_left_by_hand_changes_nothing(site: Site, path: Path) -> None:
    """`earpatch rollback` while the node runs, and its self-test comes to an end."""
    trial = installed(path, "v2", tiny(site, "v2"))
    roll_back(path)
    assert trial.judge(report(found=True)) is None
    assert trial.begin() is None
    assert "v2 is not the current version any more" in trial.fail("deaf")
    assert current_name(path) == "v1"
    assert {v.name: v.state for v in list_versions(path)} == {"v1": "current", "v2": "kept"}


class _PowerCut(BaseException):
    """Nothing catches it."""


STEPS = [
    (trial_module, "write_history"),
    (bundle_versions, "switch_to"),
]


@pytest.mark.parametrize("cut", [1, 2])
def test_a_power_cut_in_the_middle_of_a_roll_back_is_made_good_by_the_next_start(
    site: Site, path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    trial = installed(path, "v2", files_of(site, "v2"))
    calls = 0

    def counted(original: object) -> object:
        def step(*args: object) -> object:
            nonlocal calls
            calls += 1
            if calls == cut:
                raise _PowerCut
            return original(*args)  # type: ignore[operator]

        return step

    with monkeypatch.context() as patch:
        for module, name in STEPS:
            patch.setattr(module, name, counted(getattr(module, name)))
        with pytest.raises(_PowerCut):
            trial.fail("deaf")
    assert current_name(path) == "v2"
    started = start(path)
    if cut == 1:  # nothing of the failure was on disk
        assert started.on_trial
    else:
        assert started.notes == [f"{path}: v2 failed: deaf. Rolled back to v1"]
        assert current_name(path) == "v1"


@dataclass
class Model:
    """What a version should be."""

    name: str
    state: str
    starts: int = 0
    tests: int = 0


class Life(RuleBasedStateMachine):
    """Everything that can happen to a bundle, beside a model of it."""

    site: Site
    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / "life"
        shutil.rmtree(self.path, ignore_errors=True)
        write_version(self.path, "v0", tiny(self.site, "v0"))
        self.order, self.failed, self.count = [Model("v0", "none")], set[str](), 0

    @property
    def now(self) -> Model:
        """The current version."""
        return self.order[-1]

    @rule(kind=st.sampled_from(["install", "calibrate"]))
    def write(self, kind: str) -> None:
        """A new version, from an archive or from sound."""
        self.count += 1
        name = f"v{self.count}"
        since = SINCE if kind == "install" else None
        write_version(self.path, name, tiny(self.site, name), trial_since_utc=since)
        self.order.append(Model(name, "on trial" if since else "none"))

    @precondition(lambda self: self.now.state == "on trial")
    @rule()
    def start(self) -> None:
        """The node starts."""
        self.now.starts += 1
        is_over = self.now.starts > MOST_STARTS
        assert (Trial(self.path).begin() is not None) == is_over
        if is_over:
            self._fail()

    @precondition(lambda self: self.now.state == "on trial")
    @rule(found=st.booleans())
    def judge(self, found: bool) -> None:
        """A self-test is done."""
        assert Trial(self.path).judge(report(found=found)) is not None
        self.now.tests += not found
        if found:
            self.now.state = "passed"
        elif self.now.tests >= MOST_TESTS:
            self._fail()

    @rule()
    def prune(self) -> None:
        """Old versions are removed: the last five that can be gone back to stay."""
        prune(self.path)
        *before, now = self.order
        last = before[-KEPT_GOOD:]
        self.order = [each for each in before if each in last or each.state == "on trial"] + [now]

    @rule()
    def go_back(self) -> None:
        """A person goes back."""
        if len(self.order) == 1:
            with pytest.raises(BundleError):
                roll_back(self.path)
            return
        assert roll_back(self.path) == self.order[-2].name
        self.order.pop()

    def _fail(self) -> None:
        self.failed.add(self.order.pop().name)

    @invariant()
    def the_current_version_is_whole_and_did_not_fail(self) -> None:
        """Whatever happened."""
        versions = {version.name: version for version in list_versions(self.path)}
        current = versions[self.now.name]
        assert current_name(self.path) == current.name
        assert current.state == ("on trial" if self.now.state == "on trial" else "current")
        assert {name for name, v in versions.items() if v.state == "failed"} == self.failed
        assert Trial(self.path).state == self.now.state


def test_a_bundle_through_any_life(site: Site, tmp_path: Path) -> None:
    """Against a model: installs, calibrations, starts, tests, roll-backs, removals in any order."""
    Life.site, Life.folder = site, tmp_path
    run_state_machine_as_test(
        Life, settings=settings(max_examples=25, stateful_step_count=20, deadline=None)
    )
