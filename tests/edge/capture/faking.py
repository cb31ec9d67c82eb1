"""A recording child that gets the scripted module in the place of PyAudio."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge.capture.microphone import Microphone
from edge.capture.settings import LivenessSettings, MicrophoneSource
from tests import fake_pyaudio
from tests.edge.capture.fake_root import HEADPHONES, FakeRoot, c_media
from tests.edge.capture.listening import IMPATIENT, Listening
from tests.fake_pyaudio.script import VARIABLE, Script, ScriptFile

if TYPE_CHECKING:
    from collections.abc import Callable

FAKE = Path(fake_pyaudio.__file__).parent
ROOT = FAKE.parents[1]


class FakeSound(ScriptFile):
    """The script, and microphones that obey it."""

    def __init__(self, folder: Path, clock: Callable[[], float] | None = None) -> None:
        super().__init__(folder / "script.json")
        self.root = folder  # no /proc/asound there unless a test makes one
        self._clock = clock

    def microphone(
        self,
        device: str = "",
        *,
        rate_hz: int = 48_000,
        channel: int = 0,
        liveness: LivenessSettings = IMPATIENT,
    ) -> Microphone:
        """As a configuration would ask for it."""
        wanted = MicrophoneSource(device=device, rate_hz=rate_hz, channel=channel)
        clock = {} if self._clock is None else {"clock": self._clock}
        return Microphone(wanted, liveness, root=self.root, **clock)

    def listening(self, device: str = "", *, rate_hz: int = 48_000) -> Listening:
        """A capture on it, not yet entered."""
        return Listening(self.microphone(device, rate_hz=rate_hz))


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSound:
    """Good sound from a USB microphone beside an output, until the test changes the script."""
    path = os.pathsep.join([str(FAKE), str(ROOT), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path.rstrip(os.pathsep))
    found = FakeSound(tmp_path)
    monkeypatch.setenv(VARIABLE, str(found.path))
    found.write(Script())
    return found


@pytest.fixture
def cards(fake: FakeSound) -> FakeRoot:
    """The kernel's view: an output and a microphone, which is card 1."""
    return FakeRoot(fake.root).boot({0: HEADPHONES, 1: c_media()})
