"""What the fake is told to do: a file that a test may change while the recording child runs."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

VARIABLE = "EARPATCH_FAKE_PYAUDIO"  # the script's path


@dataclass(frozen=True)
class Device:
    """One entry of PortAudio's list."""

    name: str
    channels: int = 1  # inputs; 0 is an output
    rates_hz: tuple[int, ...] = (48_000,)
    default_hz: int = 48_000
    fewest_channels: int = 1  # that the hardware can do


MICROPHONE = Device("USB PnP Sound Device: Audio (hw:1,0)")
HEADPHONES = Device("bcm2835 Headphones: - (hw:0,0)", channels=0)


@dataclass(frozen=True)
class Script:
    """How the fake behaves: a stream obeys at once what concerns it, the next child the rest."""

    devices: tuple[Device, ...] = (HEADPHONES, MICROPHONE)
    initialize: str = "ok"  # or "hang", "crash", "abort"
    open: str = "ok"  # likewise
    open_error: tuple[int, str] | None = None  # PortAudio's number and text
    host_text: str = ""  # what ALSA writes on standard error then
    # good, zeros, constant, faint, frozen, clipped; "stopped" gives no callbacks while `is_active`
    # stays true; "crash" and "abort" end the process
    sound: str = "good"
    loss: tuple[int, float, bool] = (0, 0.0, False)  # number, seconds, whether it is flagged
    overflow_every: int = 0  # callbacks
    overflow_s: float = 0.0  # of sound that goes missing then
    close_s: float = 0.0  # until the process ends by itself
    speed: float = 1.0  # of the sound's clock
    epoch_s: float = 0.0  # monotonic time of its frame 0
    then: tuple[tuple[float, dict[str, Any]], ...] = field(default=())  # changes, in s of a stream

    def at(self, stream_s: float) -> Script:
        """As it is for a stream that old."""
        changes: dict[str, Any] = {}
        for after_s, change in self.then:
            if stream_s >= after_s:
                changes |= change
        return replace(self, **changes)

    @property
    def now_s(self) -> float:
        """The sound's clock."""
        return (time.monotonic() - self.epoch_s) * self.speed


class ScriptFile:
    """A script on disk, and the log of what the fake did."""

    def __init__(self, path: Path) -> None:
        self.path, self._log = path, path.with_suffix(".log")
        self._read: Script | None = None
        self._seen = 0

    def write(self, script: Script) -> None:
        """Put another one in its place, at once and whole."""
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(_plain(script)))
        beside.replace(self.path)

    def change(self, **what: Any) -> Script:
        """Write it anew with some things changed."""
        changed = replace(self.read(), **what)
        self.write(changed)
        return changed

    def read(self) -> Script:
        """As it is now."""
        seen = self.path.stat().st_ino, self.path.stat().st_mtime_ns
        if self._read is None or hash(seen) != self._seen:
            raw = json.loads(self.path.read_text())
            raw["devices"] = tuple(Device(**device) for device in raw["devices"])
            self._read, self._seen = Script(**raw), hash(seen)
        return self._read

    def log(self, what: str, **more: Any) -> None:
        """Note what was done."""
        line = json.dumps({"what": what, "pid": os.getpid(), "at_s": self.read().now_s, **more})
        with self._log.open("a") as file:
            file.write(line + "\n")

    def logged(self, what: str) -> list[dict[str, Any]]:
        """What the fake has noted so far."""
        if not self._log.exists():
            return []
        lines = [json.loads(line) for line in self._log.read_text().splitlines()]
        return [line for line in lines if line["what"] == what]


def _plain(script: Script) -> dict[str, Any]:
    return {**vars(script), "devices": [vars(device) for device in script.devices]}
