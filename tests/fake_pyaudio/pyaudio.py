"""The module that a recording child gets in the place of PyAudio.

It behaves as PyAudio 0.2.14 on ALSA was seen to behave: the list of devices stays as it was when it
was made; a microphone that is pulled out gives no error, callbacks just stop and `is_active` stays
true; ALSA writes dozens of lines on standard error.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.fake_pyaudio.script import VARIABLE, Device, Script, ScriptFile
from tests.fake_pyaudio.timecode import sound_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

paFloat32 = 1  # noqa: N816  (PyAudio's own names)
paInputOverflow = 2  # noqa: N816
paContinue = 0  # noqa: N816
CHATTER = "ALSA lib pcm.c:2721:(snd_pcm_open_noupdate) Unknown PCM cards.pcm.rear\n"
CHATTER_LINES = 80
END_S = 10.0  # ample for a signal to arrive
MESSAGES = {
    -9985: "Device unavailable",
    -9996: "Invalid device",
    -9997: "Invalid sample rate",
    -9998: "Invalid number of channels",
}

_file = ScriptFile(Path(os.environ[VARIABLE]))


class PyAudio:
    """PortAudio, from its initialisation to its end."""

    def __init__(self) -> None:
        script = _file.read()
        sys.stderr.write(CHATTER * CHATTER_LINES)
        sys.stderr.flush()
        _file.log("initialized")
        atexit.register(time.sleep, script.close_s)
        _obey(script.initialize)
        self._devices = script.devices
        self._streams: list[Stream] = []

    def get_device_count(self) -> int:
        """As it was when this was made."""
        return len(self._devices)

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        """With PortAudio's keys."""
        device = self._devices[index]
        return {
            "index": index,
            "name": device.name,
            "maxInputChannels": device.channels,
            "defaultSampleRate": float(device.default_hz),
        }

    def is_format_supported(
        self, rate: float, input_device: int, input_channels: int, input_format: int
    ) -> bool:
        """Raises ValueError with text and number."""
        del input_format
        if number := _objection(self._devices[input_device], round(rate), input_channels):
            raise ValueError(MESSAGES[number], number)
        return True

    def open(
        self,
        *,
        rate: int,
        channels: int,
        input_device_index: int,
        frames_per_buffer: int,
        stream_callback: Callable[..., tuple[None, int]],
        **_: Any,
    ) -> Stream:
        """Raises OSError with number and text."""
        script = _file.read()
        if not 0 <= input_device_index < len(self._devices):
            raise _error(-9996)
        if number := _objection(self._devices[input_device_index], rate, channels):
            _file.log("refused", rate_hz=rate, channels=channels)
            raise _error(number)
        if script.open_error is not None:
            sys.stderr.write(script.host_text + "\n")
            sys.stderr.flush()
            raise OSError(*script.open_error)
        _file.log("opening", rate_hz=rate, channels=channels)
        _obey(script.open)
        self._streams.append(Stream(rate, channels, frames_per_buffer, stream_callback))
        return self._streams[-1]


class Stream:
    """Callbacks in a thread, in step with the sound's clock; late ones follow at once."""

    def __init__(
        self, rate_hz: int, channels: int, size: int, callback: Callable[..., tuple[None, int]]
    ) -> None:
        script = _file.read()
        self._rate_hz, self._channels, self._size = rate_hz, channels, size
        self._callback = callback
        self._opened_s = script.now_s
        self._next = round(script.now_s * rate_hz)
        self._loss = script.loss[0]
        self._count = 0
        self._frozen = sound_at(self._next, size)
        threading.Thread(target=self._run, daemon=True).start()

    def is_active(self) -> bool:
        """True even when the microphone has gone."""
        return True

    def _run(self) -> None:
        while True:
            script = self._script()
            until_s = (self._next + self._size) / self._rate_hz
            time.sleep(max(0.0, until_s - script.now_s) / script.speed)
            script = self._script()
            if script.sound in {"crash", "abort"}:
                _file.log("crash")
            _obey(script.sound)
            if script.sound == "stopped":
                time.sleep(0.01)
                self._next = round(script.now_s * self._rate_hz)
                continue
            overflowed = self._lose(script)
            self._deliver(script.sound, paInputOverflow if overflowed else 0)

    def _script(self) -> Script:
        script = _file.read()
        return script.at(script.now_s - self._opened_s)

    def _lose(self, script: Script) -> bool:
        """Sound goes missing as the script says; returns whether the flag is raised."""
        self._count += 1
        number, seconds, flagged = script.loss
        if number != self._loss:
            self._loss = number
            self._skip(seconds, script)
            return flagged
        if script.overflow_every and self._count % script.overflow_every == 0:
            self._skip(script.overflow_s, script)
            return True
        return False

    def _skip(self, seconds: float, script: Script) -> None:
        self._next += round(seconds * self._rate_hz)
        until_s = (self._next + self._size) / self._rate_hz
        time.sleep(max(0.0, until_s - script.now_s) / script.speed)

    def _deliver(self, kind: str, flags: int) -> None:
        samples = self._samples(kind)
        self._next += self._size
        frames = np.zeros((self._size, self._channels), np.float32)
        frames[:, 0] = samples  # further channels of this hardware hear nothing
        self._callback(frames.tobytes(), self._size, {}, flags)

    def _samples(self, kind: str) -> FloatArray:
        good = sound_at(self._next, self._size)
        made: dict[str, Callable[[], FloatArray]] = {
            "good": lambda: good,
            "zeros": lambda: np.zeros_like(good),
            "constant": lambda: np.full_like(good, 0.125),
            "faint": lambda: np.asarray(good * 1e-5, np.float32),
            "clipped": lambda: np.asarray(np.sign(good), np.float32),
            "frozen": lambda: self._frozen,
        }
        return made[kind]()


def _obey(word: str) -> None:
    if word == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(END_S)
    if word == "abort":
        os.abort()
    while word == "hang":
        time.sleep(1.0)


def _objection(device: Device, rate_hz: int, channels: int) -> int | None:
    if not device.fewest_channels <= channels <= device.channels:
        return -9998
    return None if rate_hz in device.rates_hz else -9997


def _error(number: int) -> OSError:
    return OSError(number, MESSAGES[number])
