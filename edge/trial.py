"""The trial of a version that was installed: on trial, then passed, or failed and rolled back.

    none      the current version was calibrated here, or there is no bundle yet
    on trial  installed; the node counts its starts with it, and tests it in its first minutes
    passed    golden windows agreed, and a synthetic fault in live sound was found
    failed    could not be opened, missed its test three times, or was started five times in one
              boot of the computer, or in fifty boots, without passing it

A version that fails is left at once for the one before it. Each step is on disk before it counts:
after a power cut the next start goes on where the last one was.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edge.bundle import open_bundle
from edge.bundle_store import current_name, write_history
from edge.bundle_versions import switch_back
from edge.delivery.boot import boot_id
from edge.durable import locked
from edge.errors import BundleError, RuntimeUnavailableError
from edge.golden import check, refuse_if_different
from edge.history import History, read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge.bundle import Bundle
    from edge.golden import GoldenReport
    from edge.history import TrialState, TrialStatus
    from edge.runtime import RuntimeName
    from edge.self_test import SelfTestReport

MOST_STARTS = 5  # in one boot without a verdict: the bundle may be what ends the node
MOST_BOOTS = 50  # power cuts are no bundle's fault; but it may be what ends the computer
MOST_TESTS = 3  # not passed: something real may have happened during one
MOST_VERSIONS = 20  # that fail one after another


class Trial:
    """Of the version of the bundle at `path` that is current when this is made.

    Where another one has become current since, by hand or by another process, nothing is done.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = current_name(path)

    @property
    def state(self) -> TrialState:
        """As it is on disk."""
        return read_history(self.path).state_of(self.version)

    def begin(self, *, counted: bool = False) -> str | None:
        """The node starts: counts it. Returns what was done, where the trial is over by that.

        Args:
            counted: this start of the node was counted before.

        Raises:
            BundleError: no version is left, or the bundle can't be written.
        """
        if self.state == "failed":  # a power cut came before the roll-back
            return self.fail(read_history(self.path).failed[self.version or ""])
        if counted or (history := self._change(_with_start)) is None:
            return None
        trial = history.trials[self.version or ""]
        if trial.starts > MOST_STARTS:
            return self.fail(f"started {MOST_STARTS} times without passing its self-test")
        if trial.boots > MOST_BOOTS:
            return self.fail(f"started in {MOST_BOOTS} boots without passing its self-test")
        return None

    def judge(self, report: SelfTestReport) -> str | None:
        """A self-test is done; returns what came of it, None where there is no trial.

        Raises:
            BundleError: no version is left, or the bundle can't be written.
        """
        what = f"{self.path}: {self.version}"
        if report.passed:
            passed = self._change(History.with_pass)
            return f"{what} passed its self-test and stays: {report.line}" if passed else None
        history = self._change(History.with_missed_test)
        if not history:
            return None
        tests = history.trials[self.version or ""].tests
        if tests >= MOST_TESTS or not report.golden.is_valid:
            return self.fail(report.line)
        return f"{what} missed self-test {tests} of {MOST_TESTS}: {report.line}"

    def fail(self, reason: str) -> str:
        """Leave this version for the one before it; returns what was done.

        Raises:
            BundleError: no version is left, or the bundle can't be written.
        """
        name = self.version or ""
        with _writing(self.path):
            if current_name(self.path) != self.version:
                return f"{self.path}: {name} is not the current version any more"
            history = read_history(self.path).with_failure(name, reason)
            write_history(self.path, history)
            try:
                back = switch_back(self.path, history)
            except BundleError as error:
                raise BundleError(f"{self.path}: {name} failed: {reason}. {error}") from None
        return f"{self.path}: {name} failed: {reason}. Rolled back to {back}"

    def _change(self, change: Callable[[History, str], History]) -> History | None:
        """Write what a version on trial has come to; None where this one is not on trial."""
        if self.state != "on trial":  # nothing is written where nothing changes
            return None
        with _writing(self.path):
            history, name = read_history(self.path), self.version or ""
            if current_name(self.path) != name or name not in history.trials:
                return None
            changed = change(history, name)
            write_history(self.path, changed)
            return changed


def _with_start(history: History, name: str) -> History:
    return history.with_start(name, boot_id())


@dataclass(frozen=True)
class Started:
    """A bundle to begin with."""

    bundle: Bundle
    version: str | None  # none where the bundle is a folder of plain files
    golden: GoldenReport
    trial: TrialStatus
    notes: list[str]  # for the log: versions that failed, and golden windows that differ

    @property
    def on_trial(self) -> bool:
        """Whether a self-test is to be made."""
        return self.trial.state == "on trial"


def start(
    path: Path, *, runtime: RuntimeName = "auto", counted: set[str | None] | None = None
) -> Started:
    """Open a bundle as a node does: trials counted, golden windows checked, failures rolled back.

    Only a version that is on trial, or has failed, is written about.

    Args:
        path: the bundle.
        runtime: the one to use.
        counted: versions of which this start of the node was counted; the one found is added.

    Raises:
        BundleError: no version can be used, or what comes of a trial can't be written.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    counted = set() if counted is None else counted
    notes: list[str] = []
    for _ in range(MOST_VERSIONS):
        trial = Trial(path)
        if note := trial.begin(counted=trial.version in counted):
            notes.append(note)
            continue
        counted.add(trial.version)
        try:
            started = look(path, runtime=runtime)
        except (BundleError, RuntimeUnavailableError) as error:
            if trial.state != "on trial":
                raise
            notes.append(trial.fail(str(error)))
            continue
        return replace(started, notes=[*notes, *started.notes])
    raise BundleError(f"{path}: {MOST_VERSIONS} versions failed, one after another")


def look(path: Path, *, runtime: RuntimeName = "auto") -> Started:
    """Open a bundle and check its golden windows, and change nothing.

    Raises:
        BundleError: the current version can't be used.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    version = current_name(path)
    bundle = open_bundle(path, runtime=runtime)
    golden = check(bundle)
    refuse_if_different(golden)
    notes = [] if golden.verdict == "equal" else [golden.line]
    return Started(bundle, version, golden, read_history(path).status_of(version), notes)


def is_replaced(path: Path, version: str | None) -> bool:
    """Whether another version is current by now: installed, calibrated or rolled back to."""
    return current_name(path) != version


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """The bundle locked; what the system refuses is told in one line."""
    try:
        with locked(path):
            yield
    except OSError as error:
        raise BundleError(
            f"{path}: on trial, and what comes of that can't be kept ({error.strerror or error}). "
            "Give the folder to the user that earpatch runs as ('chown -R'), or leave this "
            f"version with 'earpatch rollback {path}'"
        ) from None
