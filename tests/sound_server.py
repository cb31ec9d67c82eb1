"""A virtual microphone: a PulseAudio of our own, whose null sink's monitor is the default source.

Nothing of the user's sound server is touched: own folder, own socket, no D-Bus, no configuration
files. What is played into the sink arrives at whoever records from ALSA's device `pulse`, through
Debian's libasound2-plugins. Needs pulseaudio, pulseaudio-utils and libasound2-plugins.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

START_S = 20.0
CALL_S = 20.0
END_S = 5.0
SINK = "vmic"
PROGRAMS = ("pulseaudio", "pactl", "pacat", "arecord")
PIECE_MS = 25  # the sink works in pieces as short as its most impatient player wants
PLAYER_MS = 1_000  # of sound in hand, so that a busy machine doesn't make holes in it


class SoundServer:
    """A running PulseAudio; each wait has a deadline.

    Args:
        folder: where it may write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._socket = folder / "pulse.sock"
        self._environment = os.environ | {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder),
            "PULSE_SERVER": self.url,
        }
        self._server: subprocess.Popen[bytes] | None = None
        self._players: list[subprocess.Popen[bytes]] = []
        self._sinks: dict[str, str] = {}  # name -> number of its module

    @property
    def url(self) -> str:
        """What `PULSE_SERVER` has to be for those who record."""
        return f"unix:{self._socket}"

    def start(self) -> None:
        """Start it, without any microphone."""
        self._socket.unlink(missing_ok=True)
        protocol = f"module-native-protocol-unix socket={self._socket} auth-anonymous=1"
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1"]
        command += ["--use-pid-file=no", "--disable-shm=yes", "-L"]
        command += [f"{protocol} auth-cookie-enabled=0"]
        self._server = subprocess.Popen(
            command, env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_S
        while not self._socket.exists() or not self._answers():
            assert self._server.poll() is None, "pulseaudio ended at once"
            assert time.monotonic() < deadline, "pulseaudio doesn't answer"
            time.sleep(0.05)

    def plug_in(self, rate_hz: int, *, channels: int = 1, name: str = SINK) -> None:
        """A microphone appears, and is the default one."""
        options = [f"sink_name={name}", f"rate={rate_hz}", f"channels={channels}"]
        self._sinks[name] = self.control("load-module", "module-null-sink", *options).strip()
        self.control("set-default-source", f"{name}.monitor")
        self._run_player(Path(os.devnull).with_name("zero"), rate_hz, PIECE_MS, name)

    def unplug(self, name: str = SINK) -> None:
        """The microphone vanishes."""
        self.control("unload-module", self._sinks.pop(name))

    def mute(self, *, on: bool) -> None:
        """The microphone gives zeros."""
        self.control("set-source-mute", f"{SINK}.monitor", str(int(on)))

    def suspend(self, *, on: bool) -> None:
        """The microphone is there, and gives nothing; what is played waits."""
        self.control("suspend-sink", SINK, str(int(on)))

    def freeze(self) -> None:
        """The server doesn't answer any more."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """The server is gone, and the microphones with it."""
        if self._server is not None:
            self._signal(signal.SIGKILL)
            self._server.wait(END_S)
        self._server = None
        self._sinks.clear()

    def play(self, samples: FloatArray, rate_hz: int, *, name: str = SINK) -> None:
        """Play mono sound at real speed, in the background."""
        recording = self._folder / f"{len(self._players)}.pcm"
        recording.write_bytes(as_pcm(samples).tobytes())
        self._run_player(recording, rate_hz, PLAYER_MS, name)

    def stop_playing(self) -> None:
        """Whatever is being played ends."""
        for player in self._players:
            player.kill()
            player.wait(END_S)

    def control(self, *arguments: str) -> str:
        """Tell the server what to do."""
        done = subprocess.run(
            ["pactl", *arguments],
            env=self._environment, capture_output=True, text=True, timeout=CALL_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"pactl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def close(self) -> None:
        """End everything that was started here."""
        self.stop_playing()
        self.kill()

    def _run_player(self, recording: Path, rate_hz: int, latency_ms: int, name: str) -> None:
        command = ["pacat", "--raw", f"--rate={rate_hz}", "--channels=1", "--format=s16le"]
        command += ["-d", name, f"--latency-msec={latency_ms}", str(recording)]
        self._players.append(
            subprocess.Popen(command, env=self._environment, stderr=subprocess.DEVNULL)
        )

    def _answers(self) -> bool:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            return bool(self.control("info"))
        return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._server is not None, "it doesn't run"
        self._server.send_signal(number)


def as_pcm(samples: FloatArray) -> NDArray[np.int16]:
    """What a 16-bit microphone makes of it."""
    return np.asarray(np.rint(np.clip(samples, -1.0, 1.0) * 32_767), "<i2")


@contextlib.contextmanager
def sound_server(folder: Path) -> Iterator[SoundServer]:
    """A server that runs, without a microphone."""
    if missing := [name for name in PROGRAMS if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    server = SoundServer(folder)
    try:
        server.start()
        yield server
    finally:
        server.close()
