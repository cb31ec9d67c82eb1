"""What came before what in a bundle, which version is on trial, and which ones failed.

Written before `current` is switched, and read in the light of where that points: an entry whose
switch never came about is one that says nothing. So a power cut between the two does no harm.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

HISTORY = "history.json"
MAX_BYTES = 1 << 20
MOST_REMEMBERED = 1_000
MOST_FAILURES = 20  # of versions that are gone from the disk

TrialState = Literal["none", "on trial", "passed", "failed"]

replace = msgspec.structs.replace


class TrialStatus(NamedTuple):
    """How the trial of what is in use stands; or that of a later version, which was left."""

    state: TrialState
    note: str  # what came of the last test, or why it was left


class OnTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of a version that has to pass its self-test yet."""

    since_utc: str
    boot_id: str = ""  # of the computer, when the node started with it last
    boots: int = 0  # in which the node started with it
    starts: int = 0  # of the node with it, in this boot
    tests: int = 0  # that it did not pass


class History(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of one bundle; versions go by the name of their folder."""

    format: Literal["earpatch-history-1"] = "earpatch-history-1"
    order: list[str] = []  # as they became current; what was gone back from is no longer in it
    trials: dict[str, OnTrial] = {}
    passed: list[str] = []
    failed: dict[str, str] = {}  # and why

    def encoded(self) -> bytes:
        """As it is kept."""
        return msgspec.json.encode(self) + b"\n"

    def before(self, current: str | None) -> list[str]:
        """The versions before the current one that did not fail, latest first."""
        if current not in self.order:
            return []
        earlier = self.order[: self._place(current)]
        return [name for name in reversed(earlier) if name not in self.failed]

    def followed_by(
        self, name: str, current: str | None, there: Collection[str], since_utc: str | None
    ) -> History:
        """With a version after the current one, on trial where `since_utc` says since when.

        Args:
            name: the new version.
            current: the version before it.
            there: the versions on disk; others are forgotten, but for why the last of them failed.
            since_utc: the trial's beginning, none where there is no trial.
        """
        known = self.order[: self._place(current) + 1] if current in self.order else []
        order = [*(known or ([current] if current else [])), name]
        trials = {each: trial for each, trial in self.trials.items() if each in there}
        return History(
            order=[each for each in order if each in there][-MOST_REMEMBERED:],
            trials={**trials, **({name: OnTrial(since_utc)} if since_utc else {})},
            passed=[each for each in self.passed if each in there],
            failed=self._failures(there),
        )

    def state_of(self, name: str | None) -> TrialState:
        """What a version's trial has come to."""
        if name in self.failed:
            return "failed"
        if name in self.trials:
            return "on trial"
        return "passed" if name in self.passed else "none"

    def with_start(self, name: str, boot_id: str) -> History:
        """One more start of the node with a version on trial."""
        trial = self.trials[name]
        if trial.boot_id == boot_id:
            return self._with_trial(name, replace(trial, starts=trial.starts + 1))
        again = replace(trial, boot_id=boot_id, boots=trial.boots + 1, starts=1)
        return self._with_trial(name, again)

    def with_missed_test(self, name: str) -> History:
        """One more self-test that a version on trial did not pass."""
        trial = self.trials[name]
        return self._with_trial(name, replace(trial, tests=trial.tests + 1))

    def with_pass(self, name: str) -> History:
        """A version has passed its self-test."""
        return replace(self, trials=self._other_trials(name), passed=[*self.passed, name])

    def with_failure(self, name: str, reason: str) -> History:
        """A version has failed, and is not to be used again."""
        failed = {**self.failed, name: reason}
        return replace(self, trials=self._other_trials(name), failed=failed)

    def status_of(self, current: str | None) -> TrialStatus:
        """How the last trial stands that concerns the current version."""
        state = self.state_of(current)
        since = self.order[self._place(current) :] if current in self.order else [current]
        left = [name for name in since if name in self.failed]
        if state == "on trial" or not left:
            return TrialStatus(state, "")
        return TrialStatus("failed", f"{left[-1]}: {self.failed[left[-1]]}")

    def _failures(self, there: Collection[str]) -> dict[str, str]:
        gone = [each for each in self.failed if each not in there][-MOST_FAILURES:]
        return {each: why for each, why in self.failed.items() if each in there or each in gone}

    def _with_trial(self, name: str, trial: OnTrial) -> History:
        return replace(self, trials={**self.trials, name: trial})

    def _other_trials(self, name: str) -> dict[str, OnTrial]:
        return {each: trial for each, trial in self.trials.items() if each != name}

    def _place(self, name: str | None) -> int:
        """The last place of a version in the order."""
        return max(i for i, each in enumerate(self.order) if each == name)


def read_history(path: Path) -> History:
    """The history of a bundle; a new one where there is none, or one that can't be read.

    A damaged history takes no bundle out of use: every version carries its own digests. What is
    lost is what came before, and that the current version was on trial.
    """
    try:
        with (path / HISTORY).open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=History)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return History()
