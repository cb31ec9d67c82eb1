"""A process that records, seen from the node: every wait has a deadline, and it can be killed."""

from __future__ import annotations

import contextlib
import logging
import os
import select
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING, Any

import msgspec

from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)

MARK = b"earpatch "
READ_BYTES = 65_536
KILL_WAIT_S = 2.0
TAIL_LINES = 4
LONGEST_LINE = 4_096
EXIT_WAIT_S = 0.2


class Opened(msgspec.Struct, frozen=True):
    """The stream that was got."""

    device: str
    rate_hz: int
    channels: int


class Told(msgspec.Struct, frozen=True):
    """One line of a child."""

    opened: Opened | None = None
    failed: str | None = None
    reason: str = ""
    overflow_at: int | None = None  # frames before it
    devices: list[dict[str, Any]] | None = None


class Heard(msgspec.Struct, frozen=True):
    """What a child gave in one wait; all empty when nothing came."""

    data: bytes = b""
    told: list[Told] = []
    over: bool = False  # it has closed its output: it ended, or crashed


class RecordingChild:
    """A running child; `kill` it when it is no longer wanted, whatever it does.

    Args:
        command: what to run. PCM comes on its standard output, words on its standard error.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the node, which ends its children itself
        )
        assert self._process.stdout is not None  # noqa: S101  (both were asked for)
        assert self._process.stderr is not None  # noqa: S101
        self._out, self._words = self._process.stdout.fileno(), self._process.stderr.fileno()
        os.set_blocking(self._out, False)
        os.set_blocking(self._words, False)
        self._line = self._unread = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._open = {self._out, self._words}

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def wait(self, timeout_s: float) -> Heard:
        """Sound or words, whichever comes first within the time."""
        if self._unread:
            data, self._unread = self._unread, b""
            return Heard(data)
        if self._out not in self._open:
            time.sleep(min(timeout_s, EXIT_WAIT_S))
            return Heard(over=True)
        ready, _, _ = select.select(list(self._open), [], [], timeout_s)
        told = self._read_words() if self._words in ready else []
        data = self._read(self._out) if self._out in ready else b""
        return Heard(data, told, over=self._out not in self._open)

    def unread(self, data: bytes) -> None:
        """Give back sound, for the next `wait`."""
        self._unread = data

    def last_words(self) -> str:
        """How it ended, and what was written last that is not for us: ALSA's own words."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=EXIT_WAIT_S)
        self._read_words()
        code = self._process.returncode
        how = "runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"
        return ": ".join([how, *list(self._tail)[-1:]])

    def host_error(self) -> str:
        """What PortAudio itself wrote of the call that failed last, in its source's words."""
        lines = [line for line in self._tail if line.startswith("Expression ")]
        return f" ({lines[-1]})" if lines else ""

    def kill(self) -> None:
        """End it by its own id; one that the kernel won't let go of is left to it."""
        self._process.kill()
        try:
            self._process.wait(timeout=KILL_WAIT_S)
        except subprocess.TimeoutExpired:
            log.warning("the recording process %d can't be killed: it hangs in a driver", self.pid)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
        self._open.clear()

    def _read(self, descriptor: int) -> bytes:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._open.discard(descriptor)
        return data

    def _read_words(self) -> list[Told]:
        if self._words not in self._open:
            return []
        *lines, self._line = (self._line + self._read(self._words)).split(b"\n")
        self._line = self._line[-LONGEST_LINE:]
        told = []
        for line in lines:
            if line.startswith(MARK):
                with contextlib.suppress(msgspec.DecodeError):
                    told.append(msgspec.json.decode(line[len(MARK) :], type=Told))
            elif line.strip():
                self._tail.append(printable(line.decode(errors="replace").strip()))
        return told
