"""Sources: raw PCM from a pipe, a recording at real speed, and the thread that captures them."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.capture import source as source_module
from edge.capture.settings import RecordingSource, StdinSource
from edge.capture.source import Capture, PcmReader, RecordingPlayer, open_source
from edge.errors import RecordingError, SettingsError

FloatArray = NDArray[np.float32]
Encoding = Literal["s16le", "s32le", "f32le"]
RATE_HZ = 16_000
DEADLINE_S = 20.0
DTYPES: dict[Encoding, str] = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}


def through_a_pipe(data: bytes, settings: StdinSource, *, cut_at: list[int]) -> FloatArray:
    """What a reader makes of bytes that a writer sends in pieces before it closes its end."""
    reading, writing = os.pipe()
    edges = [0, *sorted(cut_at), len(data)]

    def write() -> None:
        for start, end in pairwise(edges):
            os.write(writing, data[start:end])
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        blocks = list(PcmReader(settings, reading).blocks(threading.Event()))
    finally:
        writer.join(DEADLINE_S)
        os.close(reading)
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    return np.concatenate([np.empty(0, np.float32), *blocks])


@pytest.mark.parametrize(
    ("encoding", "values", "expected"),
    [
        ("s16le", [-32_768, -1, 0, 16_384], [-1.0, -1 / 32_768, 0.0, 0.5]),
        ("s32le", [-(2**31), 0, 2**30], [-1.0, 0.0, 0.5]),
        ("f32le", [-1.0, 0.25, 1.5], [-1.0, 0.25, 1.5]),
    ],
)
def test_every_encoding_has_full_scale_one(
    encoding: Encoding, values: list[float], expected: list[float]
) -> None:
    data = np.array(values, DTYPES[encoding]).tobytes()
    pcm = StdinSource(rate_hz=RATE_HZ, encoding=encoding)
    assert through_a_pipe(data, pcm, cut_at=[]).tolist() == expected


@given(
    data=st.data(),
    channels=st.integers(1, 5),
    encoding=st.sampled_from(sorted(DTYPES)),
    frames=st.integers(0, 200),
)
@settings(max_examples=40, deadline=None)
def test_frames_may_be_cut_anywhere(
    data: st.DataObject, channels: int, encoding: Encoding, frames: int
) -> None:
    raw = np.random.default_rng(frames).integers(-30_000, 30_000, (frames, channels))
    sent = raw.astype(DTYPES[encoding]).tobytes()
    cut_at = data.draw(st.lists(st.integers(0, len(sent)), max_size=5))
    pcm = StdinSource(rate_hz=RATE_HZ, channels=channels, encoding=encoding)
    full_scale = {"s16le": 2.0**15, "s32le": 2.0**31, "f32le": 1.0}[encoding]
    expected = (raw.mean(axis=1) / full_scale).astype(np.float32)
    np.testing.assert_allclose(through_a_pipe(sent, pcm, cut_at=cut_at), expected, rtol=1e-6)


def test_half_a_frame_at_the_end_is_left_out() -> None:
    pcm = StdinSource(rate_hz=RATE_HZ, channels=2)
    sent = np.array([[100, 300], [500, 700]], "<i2").tobytes() + b"\x01\x02\x03"
    assert (through_a_pipe(sent, pcm, cut_at=[]) * 32_768).tolist() == [200, 600]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_not_numbers_do_not_get_through(value: float) -> None:
    pcm = StdinSource(rate_hz=RATE_HZ, encoding="f32le")
    sent = np.array([0.5, value, 0.25], "<f4").tobytes()
    samples = through_a_pipe(sent, pcm, cut_at=[])
    assert np.isfinite(samples).all()
    assert samples[[0, 2]].tolist() == [0.5, 0.25]


@contextmanager
def open_pipe() -> Iterator[int]:
    """The reading end of a pipe whose writer stays open and silent."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


def ends(call: threading.Thread) -> bool:
    call.join(DEADLINE_S)
    return not call.is_alive()


def test_a_reader_stops_while_no_data_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "WAIT_S", 0.02)
    stop = threading.Event()
    with open_pipe() as reading:
        reader = PcmReader(StdinSource(rate_hz=RATE_HZ), reading)
        thread = threading.Thread(target=lambda: list(reader.blocks(stop)), daemon=True)
        thread.start()
        stop.set()
        assert ends(thread)


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
    assert np.array_equal(np.concatenate(list(player.blocks(clock))), samples)


def test_real_speed_gives_each_block_when_its_last_sample_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = FakeClock()
    monkeypatch.setattr(source_module, "time", clock)
    ramp(tmp_path / "a.wav", 1.0)
    started, due = clock.now, 0.0
    for block in RecordingPlayer(tmp_path / "a.wav", realtime=True).blocks(clock):
        due += len(block) / RATE_HZ
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
    stop.set()
    assert len(first) + sum(map(len, blocks)) < len(samples)


class Scripted:
    """A source that yields blocks, then fails or waits as told."""

    name, rate_hz = "scripted", RATE_HZ

    def __init__(
        self,
        blocks: list[FloatArray],
        *,
        error: Exception | None = None,
        stuck: threading.Event | None = None,
    ) -> None:
        self._blocks, self._error, self._stuck = blocks, error, stuck

    def blocks(self, stop: threading.Event) -> Iterator[FloatArray]:
        """The script; it never listens to `stop`."""
        del stop
        yield from self._blocks
        if self._stuck is not None:
            self._stuck.wait(DEADLINE_S)
        if self._error is not None:
            raise self._error


def captured(capture: Capture) -> FloatArray:
    parts = []
    while (samples := capture.read(timeout_s=DEADLINE_S)) is not None:
        parts.append(samples)
    return np.concatenate([np.empty(0, np.float32), *parts])


def test_capture_drops_nothing_when_a_block_is_larger_than_its_ring() -> None:
    sound = np.arange(10 * RATE_HZ, dtype=np.float32)
    with Capture(Scripted([sound, sound[:7]])) as capture:
        assert np.array_equal(captured(capture), np.concatenate([sound, sound[:7]]))
        assert capture.ring.dropped == 0


@pytest.mark.parametrize("error", [RecordingError("a.flac: damaged"), SettingsError("other")])
def test_capture_hands_over_the_source_s_own_error_after_its_sound(error: Exception) -> None:
    with Capture(Scripted([np.ones(100, np.float32)], error=error)) as capture:
        assert capture.read(timeout_s=DEADLINE_S) is not None
        with pytest.raises(type(error)) as raised:
            captured(capture)
    assert raised.value is error


def test_capture_names_the_source_of_an_unexpected_error() -> None:
    with (
        Capture(Scripted([], error=OSError(5, "Input/output error"))) as capture,
        pytest.raises(RecordingError, match=r"^scripted: .*Input/output error"),
    ):
        captured(capture)


def leave(capture: Capture) -> None:
    with capture, suppress(RecordingError):
        capture.read()


def test_leaving_capture_never_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """D01, D05: a read that never returns is abandoned."""
    monkeypatch.setattr(source_module, "WAIT_S", 0.02)
    release = threading.Event()
    sound = np.zeros(20 * RATE_HZ, np.float32)  # the ring is full and the writer waits
    failing = OSError("gone")
    for scripted in (
        Scripted([], stuck=release), Scripted([sound]), Scripted([sound], error=failing)
    ):  # fmt: skip
        leaving = threading.Thread(target=leave, args=(Capture(scripted),), daemon=True)
        leaving.start()
        assert ends(leaving)
    release.set()


def test_leaving_capture_closes_its_ring() -> None:
    with Capture(Scripted([np.zeros(20 * RATE_HZ, np.float32)])) as capture:
        pass
    assert capture.ring.write(np.ones(1, np.float32)) == 0


def test_the_configured_kind_chooses_the_source(tmp_path: Path) -> None:
    ramp(tmp_path / "a.wav", 0.1)
    played = open_source(RecordingSource(path=str(tmp_path / "a.wav")))
    piped = open_source(StdinSource(rate_hz=44_100))
    assert (type(played), played.rate_hz) == (RecordingPlayer, RATE_HZ)
    assert (type(piped), piped.rate_hz) == (PcmReader, 44_100)
