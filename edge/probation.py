"""Versions on trial are tested on the sound that comes; what has become current is taken up.

A version that was installed is judged by its self-test (`edge.self_test`) on the first good sound;
`edge.trial` says what follows. Another version that has become current, by `install`, `rollback`
or `calibrate` in another process, is taken up within a minute. Both are done in a thread, with a
bundle of its own: the loop that scores only looks what came of it.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from edge.bundle import load, read_files
from edge.bundle_store import VERSIONS
from edge.bundle_versions import version_before
from edge.errors import BundleError, EarpatchError, RecordingError, RuntimeUnavailableError
from edge.history import TrialStatus, read_history
from edge.live_sound import LiveSound
from edge.self_test import MOST_ALARMED, alarmed_share, self_test
from edge.trial import Trial, is_replaced
from edge.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from edge.capture.sound import Block
    from edge.inputs import Input

log = logging.getLogger(__name__)

LOOK_EVERY_S = 60.0  # whether another version is current
PAUSE_S = 60.0  # after a self-test that came to nothing: what happened then may be over


class Key(NamedTuple):
    """The version of a bundle; what inputs share."""

    path: Path
    version: str | None


class Judged(NamedTuple):
    """What came of a self-test."""

    note: str  # for the log; empty where the version is on trial no more
    status: TrialStatus


class Probation:
    """Used from the node's loop; nothing here waits, but `close` for a verdict that is written.

    Args:
        inputs: of the node; some may share a bundle.
    """

    def __init__(self, inputs: Sequence[Input]) -> None:
        self._inputs = inputs
        self._sounds: dict[Key, LiveSound] = {}  # of each version on trial
        self._rests: dict[Key, float] = {}  # until when
        self._worker = Worker()
        self._judging, self._closed = threading.Lock(), False
        self._replaced: list[Input] = []
        self._look_s = time.monotonic() + LOOK_EVERY_S
        self._trouble: dict[str, str] = {}  # as it was told last, of each input

    def hear(self, each: Input, block: Block) -> None:
        """An input's next sound, which was scored."""
        if each.trial.state != "on trial" or time.monotonic() < self._rests.get(_key(each), 0.0):
            return
        sound = self._sounds.setdefault(_key(each), LiveSound())
        sound.hear(each.name, block, time.monotonic())

    def work(self) -> None:
        """See how it goes, and begin what is due."""
        self._worker.work()
        if self._worker.busy:
            return
        if time.monotonic() >= self._look_s:
            self._look_s = time.monotonic() + LOOK_EVERY_S
            self._replaced = [
                each for each in self._inputs if is_replaced(each.bundle_path, each.version)
            ]
        if self._replaced:
            self._worker.begin(partial(self._open, self._replaced.pop(0)))
            return
        for each in self._inputs:
            sound = self._sounds.get(_key(each))
            if sound is not None and sound.is_enough:
                key = _key(each)
                self._worker.begin(partial(self._test, each, key, sound))
                del self._sounds[key]
                self._rests[key] = float("inf")  # until there is a verdict
                return

    def close(self) -> None:
        """The node ends: what is not judged yet will be after its next start."""
        with self._judging:
            self._closed = True

    def _test(self, each: Input, key: Key, sound: LiveSound) -> Callable[[], None]:
        """In the thread: a self-test, and what follows from it on the disk."""
        try:
            return partial(self._tested, each, key, self._judged(each, key, sound))
        except EarpatchError as error:  # no sound to judge by
            return partial(self._not_tested, each, key, str(error))
        except Exception as error:  # noqa: BLE001  (a thread that dies would never be missed)
            return partial(self._not_tested, each, key, f"{type(error).__name__}: {error}")

    def _judged(self, each: Input, key: Key, sound: LiveSound) -> Judged:
        trial, folder = Trial(key.path), key.path / VERSIONS / (key.version or "")
        note = self._verdict(trial, each, folder, sound) if trial.version == key.version else ""
        status = read_history(key.path).status_of(key.version)
        told = note.removeprefix(f"{key.path}: ")
        return Judged(note, TrialStatus(status.state, status.note or told))

    def _verdict(self, trial: Trial, each: Input, folder: Path, sound: LiveSound) -> str:
        try:
            bundle = load(read_files(folder), folder, runtime=each.bundle_settings.runtime)
            report = self_test(bundle, sound.take(), sound.rate_hz)
            if report.alarmed_share > MOST_ALARMED:
                _refuse_if_alarm_before(trial, each, sound)
            decide: Callable[[], str | None] = partial(trial.judge, report)
        except (BundleError, RuntimeUnavailableError) as error:
            decide = partial(trial.fail, str(error))
        with self._judging:
            try:
                return ("" if self._closed else decide()) or ""
            except BundleError as error:  # nothing to go back to, or the disk takes no verdict
                return str(error)

    def _tested(self, each: Input, key: Key, judged: Judged) -> None:
        """In the loop again: say it, and take up the version before where this one has failed."""
        self._rests[key] = time.monotonic() + PAUSE_S
        for other in self._inputs:
            if _key(other) == key:
                other.trial = judged.status
        if judged.status.state == "passed" and judged.note:
            log.info("%s: %s", each.name, judged.note)
        else:
            self._tell(each, judged.note)
            self._look_s = time.monotonic()

    def _not_tested(self, each: Input, key: Key, reason: str) -> None:
        self._rests[key] = time.monotonic() + PAUSE_S
        self._tell(each, f"the self-test came to nothing, and is made again: {reason}")

    def _open(self, each: Input) -> Callable[[], None]:
        """In the thread: what has become current."""
        try:
            started = each.starts.open(each.bundle_settings)
        except EarpatchError as error:
            reason = f"what is current now can't be used: {error}. The one before goes on"
            return partial(self._tell, each, reason)
        except Exception as error:  # noqa: BLE001  (a thread that dies would never be missed)
            return partial(self._tell, each, f"{type(error).__name__}: {error}")

        def take_up() -> None:
            if is_replaced(each.bundle_path, started.version):
                return  # once more meanwhile; the next look finds it
            self._trouble.pop(each.name, None)
            if started.version == each.version:  # what came was left again
                each.trial = started.trial
                self._tell(each, "; ".join(started.notes))
                return
            each.take_up(started)
            trial = ", on trial" if started.on_trial else ""
            bundle_id = started.bundle.manifest.bundle_id
            log.info("%s goes on with bundle %s%s", each.name, bundle_id, trial)
            used = set(map(_key, self._inputs))
            self._sounds = {key: sound for key, sound in self._sounds.items() if key in used}

        return take_up

    def _tell(self, each: Input, trouble: str) -> None:
        """Once, and not each minute."""
        if trouble and self._trouble.get(each.name) != trouble:
            log.warning("%s: %s", each.name, trouble)
        self._trouble[each.name] = trouble


def _refuse_if_alarm_before(trial: Trial, each: Input, sound: LiveSound) -> None:
    """A machine that stands still, or is not well, says nothing about a version.

    Raises:
        RecordingError: the version before takes the sound for an alarm too.
    """
    name = version_before(trial.path, read_history(trial.path))
    if name is None:
        return
    folder = trial.path / VERSIONS / name
    try:
        bundle = load(read_files(folder), folder, runtime=each.bundle_settings.runtime)
    except (BundleError, RuntimeUnavailableError):
        return  # it is no witness
    if alarmed_share(bundle, sound.take(), sound.rate_hz) > MOST_ALARMED:
        raise RecordingError(f"to {name}, the version before, the sound is an alarm too")


def _key(each: Input) -> Key:
    return Key(each.bundle_path, each.version)
