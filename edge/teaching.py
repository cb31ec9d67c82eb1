"""Calibration from afar: record what an input hears, learn it in a child, take up the new bundle.

The node goes on scoring with the old bundle meanwhile. What was recorded stays.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from edge.capture.files import StretchFiles
from edge.errors import EarpatchError
from edge.words import printable

if TYPE_CHECKING:
    from edge.capture.sound import Block
    from edge.inputs import Input
    from edge.remote import Answer, AnswerStatus, Calibrate, Remote

UNHEARD_S = 60.0  # an input that isn't heard for so long ends the recording
LEARN_WITHIN_S = 3_600.0
STEPS = 10  # of progress, for the recording
KEPT_FREE_BYTES = 200_000_000  # for events, and for the bundle
LIKELY_RATE_HZ, SAMPLE_BYTES = 48_000, 3
LEARN = (sys.executable, "-m", "convert.main", "calibrate")


class Teaching:
    """One calibration at a time, in turns of the node's loop.

    Args:
        remote: where answers go.
        learn: the command that learns a folder; replaced in tests.
    """

    def __init__(self, remote: Remote, learn: tuple[str, ...] = LEARN) -> None:
        self._remote, self._learn = remote, learn
        self._command: Calibrate | None = None
        self._input: Input | None = None
        self._files: StretchFiles | None = None
        self._child: subprocess.Popen[str] | None = None
        self._told = 0
        self._heard_s = self._deadline_s = 0.0

    def begin(self, each: Input, command: Calibrate) -> Answer:
        """Start recording."""
        if self._command is not None:
            return self._answer(command, "refused", "a calibration is going on already")
        bundle = Path(each.bundle_path).absolute()
        folder = bundle.with_name(f"{bundle.name}-recordings")
        folder /= f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
        rate_hz = each.stretch.rate_hz if each.stretch else LIKELY_RATE_HZ
        needed_bytes = int(command.seconds * rate_hz * SAMPLE_BYTES) + KEPT_FREE_BYTES
        try:
            if (free_bytes := shutil.disk_usage(bundle.parent).free) < needed_bytes:
                return self._answer(command, "refused", _no_room(folder, free_bytes, needed_bytes))
            folder.mkdir(parents=True)
        except OSError as error:
            return self._answer(command, "failed", f"{folder}: {error.strerror}")
        self._command, self._input = command, each
        self._files, self._told, self._heard_s = StretchFiles(folder), 0, time.monotonic()
        return self._answer(command, "started", f"recording {command.seconds:g} s into {folder}")

    def hear(self, each: Input, block: Block) -> None:
        """An input's next sound."""
        if each is not self._input or self._files is None or self._command is None:
            return
        self._heard_s = time.monotonic()
        try:
            self._files.write(block)
        except (OSError, RuntimeError) as error:  # LibsndfileError is a RuntimeError
            self._end("failed", f"{self._files.folder}: can't be written ({error})")
            return
        share = min(1.0, self._files.duration_s / self._command.seconds)
        if int(share * STEPS) > self._told:
            self._told = int(share * STEPS)
            text = f"{self._files.duration_s:.0f} of {self._command.seconds:g} s recorded"
            self._tell("progress", text, progress=0.5 * share)
        if share >= 1.0:
            self._start_learning()

    def work(self) -> None:
        """Look how it goes. Never blocks."""
        if self._files is not None and time.monotonic() - self._heard_s > UNHEARD_S:
            self._end("failed", f"not heard for {UNHEARD_S:g} s; {self._files.folder} is kept")
        if self._child is None or self._child.poll() is None:
            if self._child is not None and time.monotonic() > self._deadline_s:
                self._child.kill()
                self._end("failed", f"did not end within {LEARN_WITHIN_S:g} s")
            return
        said, _ = self._child.communicate()
        lines = [line for line in said.splitlines() if line.strip()]
        if self._child.returncode:
            self._end("failed", lines[-1] if lines else f"exit code {self._child.returncode}")
        else:
            self._take_up(lines)

    def close(self) -> None:
        """The node ends: so does what it began. The recording stays."""
        if self._files is not None:
            self._files.__exit__()
        if self._child is not None and self._child.poll() is None:
            self._child.kill()
            self._child.wait()

    def _start_learning(self) -> None:
        command, files, each = self._command, self._files, self._input
        if command is None or files is None or each is None:
            return
        files.__exit__()
        self._files = None
        arguments = [str(each.bundle_path), "--normal", str(files.folder)]
        if microphone := each.source.facts.get("identity"):
            arguments += ["--microphone", str(microphone)]
        self._child = subprocess.Popen(
            ["nice", "-n", "10", *self._learn, *arguments, *(["--add"] if command.add else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._deadline_s = time.monotonic() + LEARN_WITHIN_S
        self._tell("progress", "learning", progress=0.5)

    def _take_up(self, lines: list[str]) -> None:
        each = self._input
        if each is None:
            return
        try:
            each.reload()
        except EarpatchError as error:
            self._end("failed", f"learnt, but the new bundle can't be used: {error}")
            return
        bundle_id = each.bundle.manifest.bundle_id
        self._end("done", f"bundle {bundle_id} is in use", data={"report": lines[-20:]})

    def _end(self, status: AnswerStatus, text: str, **more: object) -> None:
        self._tell(status, text, **more)
        if self._files is not None:
            self._files.__exit__()
        self._command = self._input = self._files = self._child = None

    def _tell(self, status: AnswerStatus, text: str, **more: object) -> None:
        if self._command is not None:
            self._remote.tell(self._answer(self._command, status, text, **more))

    def _answer(
        self, command: Calibrate, status: AnswerStatus, text: str, **more: object
    ) -> Answer:
        return self._remote.answer(command, "calibrate", status, printable(text), **more)


def _no_room(folder: Path, free_bytes: int, needed_bytes: int) -> str:
    return (
        f"{folder.parent}: {free_bytes / 1e6:,.0f} MB are free, and a recording so long wants "
        f"{needed_bytes / 1e6:,.0f} MB; delete old recordings there, or ask for fewer seconds"
    )
