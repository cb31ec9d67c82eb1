"""Sources: a recording at real speed or as fast as it goes, and the choice among them."""

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from edge.capture import source as source_module
from edge.capture.microphone import Microphone
from edge.capture.pcm import PcmReader
from edge.capture.settings import MicrophoneSource, RecordingSource, StdinSource
from edge.capture.sound import Block
from edge.capture.source import RecordingPlayer, open_source
from edge.errors import SettingsError

FloatArray = NDArray[np.float32]
RATE_HZ = 16_000


class FakeClock(threading.Event):
    """A stop event whose waits take no time, and tell the clock that time has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000.0
        self.waits: list[float] = []

    def monotonic(self) -> float:
        """Stands in for `time.monotonic`."""
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        """Let the time pass at once."""
        assert timeout is not None, "a wait without an end"
        self.waits.append(timeout)
        self.now += timeout
        return self.is_set()


def ramp(path: Path, seconds: float) -> FloatArray:
    samples = np.linspace(-0.5, 0.5, round(seconds * RATE_HZ), dtype=np.float32)
    soundfile.write(path, samples, RATE_HZ, subtype="FLOAT")
    return samples


@pytest.mark.parametrize("realtime", [True, False])
def test_a_recording_is_played_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, realtime: bool
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(source_module, "time", clock)
    samples = ramp(tmp_path / "a.wav", 1.03)
    player = RecordingPlayer(tmp_path / "a.wav", realtime=realtime)
    blocks = [item for item in player.blocks(clock) if isinstance(item, Block)]
    assert np.array_equal(np.concatenate([block.samples for block in blocks]), samples)
    assert blocks[0].at_s == 0
    assert blocks[-1].end_s == pytest.approx(1.03)


def test_real_speed_gives_each_block_when_its_last_sample_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(source_module, "time", clock)
    ramp(tmp_path / "a.wav", 1.0)
    started, due = clock.now, 0.0
    for block in RecordingPlayer(tmp_path / "a.wav", realtime=True).blocks(clock):
        assert isinstance(block, Block)
        due += block.duration_s
        assert clock.now - started == pytest.approx(due)
        clock.now += 0.03  # the consumer's own work doesn't add up


def test_as_fast_as_it_goes_waits_for_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    ramp(tmp_path / "a.wav", 1.0)
    list(RecordingPlayer(tmp_path / "a.wav", realtime=False).blocks(clock))
    assert clock.waits == []


def test_a_stopped_player_ends_early(tmp_path: Path) -> None:
    samples = ramp(tmp_path / "a.wav", 2.0)
    stop = threading.Event()
    blocks = RecordingPlayer(tmp_path / "a.wav", realtime=False).blocks(stop)
    first = next(blocks)
    assert isinstance(first, Block)
    stop.set()
    rest = [block for block in blocks if isinstance(block, Block)]
    assert sum(len(block.samples) for block in [first, *rest]) < len(samples)


def test_the_configured_kind_chooses_the_source(tmp_path: Path) -> None:
    ramp(tmp_path / "a.wav", 0.1)
    played = open_source(RecordingSource(path=str(tmp_path / "a.wav")))
    piped = open_source(StdinSource(rate_hz=44_100))
    live = open_source(MicrophoneSource(device="card:Device"))
    assert isinstance(played, RecordingPlayer)
    assert isinstance(piped, PcmReader)
    assert isinstance(live, Microphone)
    assert [played.live, piped.live, live.live] == [False, False, True]


def test_a_microphone_that_is_named_by_a_number_is_refused() -> None:
    """B01, B04: numbers change from boot to boot."""
    with pytest.raises(SettingsError, match="hw:1,0"):
        open_source(MicrophoneSource(device="hw:1,0"))
