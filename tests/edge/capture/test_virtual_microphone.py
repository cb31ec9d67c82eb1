"""A real PortAudio, and ALSA's recorder, on a real sound server: what is played is what arrives.

Everything that a sound server does to those who record from it is done to it here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np
import pytest

from edge.capture.microphone import Microphone
from edge.capture.settings import LivenessSettings, MicrophoneSource
from tests.edge.capture.listening import BUSY_S, Listening, sound_of
from tests.sound_server import SoundServer, as_pcm, sound_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

Backend = Literal["portaudio", "arecord"]
BACKENDS: list[Backend] = ["portaudio", "arecord"]
FIRST = ["portaudio", pytest.param("arecord", marks=pytest.mark.faults)]  # the other: `make faults`

# A null sink's first piece takes two seconds, whatever its players want.
PATIENT = LivenessSettings(
    open_within_s=6.0, stalled_after_s=2.5, retry_first_s=0.1, retry_most_s=0.5
)
RECOVERED_S = 30.0
RATE_HZ = 16_000
MINUTE_S = 60.0
NEEDLE = 64  # samples; so many random ones are found in one place only
STARTUP_S = 0.1  # of what is played: the server begins to mix it in somewhere there


def noise(seconds: float, rate_hz: int = RATE_HZ, seed: int = 0) -> FloatArray:
    samples = np.random.default_rng(seed).normal(size=round(seconds * rate_hz))
    return np.asarray(0.1 * samples, np.float32)


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SoundServer]:
    """A sound server without a microphone, which the recording child will ask."""
    folder = tmp_path / "pulse"
    folder.mkdir()
    with sound_server(folder) as running:
        monkeypatch.setenv("PULSE_SERVER", running.url)
        yield running


def listening(
    backend: Backend, rate_hz: int = RATE_HZ, liveness: LivenessSettings = PATIENT
) -> Listening:
    wanted = MicrophoneSource(device="pulse", rate_hz=rate_hz, backend=backend)
    return Listening(Microphone(wanted, liveness), liveness)


def place_of(part: FloatArray, whole: FloatArray) -> int:
    """Where a part is found, bit for bit; -1 if it isn't."""
    needle, found = part[:NEEDLE].tobytes(), -1
    while (found := whole.tobytes().find(needle, found + 1)) >= 0:
        if found % 4 == 0:
            return found // 4
    return -1


def as_heard(played: FloatArray) -> FloatArray:
    """What 16 bits make of it."""
    return as_pcm(played).astype(np.float32) / np.float32(32_768)


@pytest.mark.parametrize(
    ("backend", "rate_hz"),
    [
        ("portaudio", 16_000), ("portaudio", 44_100), ("portaudio", 48_000),
        ("arecord", 16_000), ("arecord", 48_000),
    ],
)  # fmt: skip
def test_what_is_played_arrives_bit_for_bit(
    server: SoundServer, backend: Backend, rate_hz: int
) -> None:
    server.plug_in(rate_hz)
    played = noise(3.0, rate_hz)
    with listening(backend, rate_hz) as heard:
        heard.until_state("silent")
        server.play(played, rate_hz)
        heard.hear(1.5)
        facts = heard.capture.source.facts
    assert (facts["rate_hz"], facts["overflows"], facts["openings"]) == (rate_hz, 0, 1)
    assert len(heard.stretches()) == 1
    arrived, reference = sound_of(heard.blocks), as_heard(played)
    arrived = arrived[round(STARTUP_S * rate_hz) :]
    place = place_of(arrived, reference)
    assert place >= 0, "it isn't there"
    assert np.array_equal(arrived, reference[place : place + len(arrived)])
    assert len(arrived) > rate_hz


@pytest.mark.parametrize(
    ("backend", "sink_hz", "rate_hz"), [("portaudio", 48_000, 16_000), ("arecord", 44_100, 48_000)]
)
def test_what_is_played_at_another_rate_is_the_same_sound(
    server: SoundServer, backend: Backend, sink_hz: int, rate_hz: int
) -> None:
    """A05: where a server resamples, what arrives still is what was played."""
    from scipy import signal  # noqa: PLC0415

    server.plug_in(sink_hz)
    played = noise(3.0, sink_hz)
    with listening(backend, rate_hz) as heard:
        heard.until_state("silent")
        server.play(played, sink_hz)
        heard.hear(2.0)
    wanted = signal.resample_poly(as_heard(played), rate_hz, sink_hz)
    low_hz = 0.1 * min(sink_hz, rate_hz)  # well below what both rates can hold
    filters = signal.butter(8, low_hz, fs=rate_hz, output="sos")
    wanted = signal.sosfilt(filters, wanted)
    arrived = signal.sosfilt(filters, sound_of(heard.blocks))
    alike, size = [], round(0.2 * rate_hz)
    for first in range(2 * size, len(arrived) - size, size):
        part = arrived[first : first + size]
        place = int(np.argmax(signal.correlate(wanted, part, mode="valid")))
        alike.append(np.corrcoef(wanted[place : place + size], part)[0, 1])
    assert len(alike) >= 5
    # Half a sample of delay costs one percent; a busy server leaves out a piece now and then.
    assert np.median(alike) > 0.97, alike


@pytest.mark.parametrize("backend", FIRST)
def test_pulled_out_and_plugged_in_again(server: SoundServer, backend: Backend) -> None:
    """D07, D08, D12: the only source goes, and comes back as another one of that name."""
    server.plug_in(RATE_HZ)
    server.play(noise(MINUTE_S), RATE_HZ)
    with listening(backend) as heard:
        heard.hear(1.0)
        server.unplug()
        heard.until(lambda: heard.status.state in {"stalled", "recovering", "absent"})
        heard.spend(2.0)
        assert heard.status.state != "hearing"
        server.plug_in(RATE_HZ)
        server.play(noise(MINUTE_S, seed=1), RATE_HZ)
        assert heard.until_state("hearing") < RECOVERED_S
        heard.hear(1.0)
    check_after_an_outage(heard, noise(MINUTE_S), noise(MINUTE_S, seed=1))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_server_that_is_killed_and_started_again(server: SoundServer, backend: Backend) -> None:
    """C03, D01, D03: PortAudio crashes or goes blind when that happens; a new process doesn't."""
    server.plug_in(RATE_HZ)
    server.play(noise(MINUTE_S), RATE_HZ)
    with listening(backend) as heard:
        heard.hear(1.0)
        server.kill()
        heard.until(lambda: heard.status.state in {"stalled", "recovering", "absent"})
        heard.spend(2.0)
        assert heard.status.state != "hearing"
        server.start()
        server.plug_in(RATE_HZ)
        server.play(noise(MINUTE_S, seed=1), RATE_HZ)
        assert heard.until_state("hearing") < RECOVERED_S
        heard.hear(1.0)
    check_after_an_outage(heard, noise(MINUTE_S), noise(MINUTE_S, seed=1))


@pytest.mark.parametrize("backend", FIRST)
def test_a_server_that_stops_answering(server: SoundServer, backend: Backend) -> None:
    """D05, D06: even `close` hangs then, and old sound comes in a burst afterwards."""
    server.plug_in(RATE_HZ)
    server.play(noise(MINUTE_S), RATE_HZ)
    with listening(backend) as heard:
        heard.hear(1.0)
        server.freeze()
        heard.until_state("stalled")
        heard.until_state("recovering")
        server.thaw()
        assert heard.until_state("hearing") < RECOVERED_S
        heard.hear(1.0)
    check_after_an_outage(heard, noise(MINUTE_S), noise(MINUTE_S))


def test_leaving_while_a_server_doesn_t_answer(server: SoundServer) -> None:
    """D06, E12: nothing waits for it."""
    server.plug_in(RATE_HZ)
    server.play(noise(MINUTE_S), RATE_HZ)
    with listening("portaudio") as heard:
        heard.hear(0.5)
        server.freeze()
        heard.spend(0.5)
        began = time.monotonic()
    assert time.monotonic() - began < 5.0


def check_after_an_outage(heard: Listening, before: FloatArray, after: FloatArray) -> None:
    """Two pieces, the hole between them as long as the clock says, and no old sound in it."""
    spent_s = time.monotonic() - heard.began_s  # before the search below, which takes its time
    first, *_, last = heard.stretches()
    assert len(heard.stretches()) == 2
    for blocks, played in ((first, before), (last, after)):
        assert place_of(sound_of(blocks[2:]), as_heard(played)) >= 0
    assert last[-1].end_s == pytest.approx(spent_s, abs=1.0)  # a busy machine reads late
    assert last[0].at_s - first[-1].end_s > 1.0


@pytest.mark.parametrize("backend", FIRST)
def test_a_muted_microphone_is_silent_and_the_hole_is_as_long_as_it_was(
    server: SoundServer, backend: Backend
) -> None:
    """E01, E02, E03: it opens fine and gives zeros."""
    server.plug_in(RATE_HZ)
    played = noise(MINUTE_S)
    server.play(played, RATE_HZ)
    with listening(backend) as heard:
        heard.hear(1.0)
        server.mute(on=True)
        heard.until_state("silent")
        assert heard.status.reason == "digital silence"
        heard.spend(1.0)
        server.mute(on=False)
        heard.until_state("hearing")
        heard.hear(1.0)
    assert heard.states == ["starting", "hearing", "silent", "recovering", "hearing"]
    check_hole(heard, played)


@pytest.mark.parametrize("backend", FIRST)
def test_a_suspended_source_is_stalled(server: SoundServer, backend: Backend) -> None:
    """D13: the stream is "active", and no frame comes."""
    server.plug_in(RATE_HZ)
    played = noise(MINUTE_S)
    server.play(played, RATE_HZ)
    with listening(backend) as heard:
        heard.hear(1.0)
        server.suspend(on=True)
        heard.until_state("stalled")
        heard.until_state("recovering")
        server.suspend(on=False)
        assert heard.until_state("hearing") < RECOVERED_S
        heard.hear(1.0)
    check_after_an_outage(heard, played, played)


def check_hole(heard: Listening, played: FloatArray) -> None:
    """Both pieces are found in what was played on and on: what lies between them is the truth."""
    first, last = heard.stretches()
    reference = as_heard(played)
    end = place_of(sound_of(first[-2:]), reference)
    start = place_of(sound_of(last[2:]), reference)
    assert 0 <= end < start
    true_s = (start - end) / RATE_HZ
    assert last[2].at_s - first[-2].at_s == pytest.approx(true_s, abs=BUSY_S)


def test_a_server_gives_another_source_s_sound_without_a_word(server: SoundServer) -> None:
    """B08: so it is no identity of a microphone, and `port:` or `usb:` is what to configure."""
    server.plug_in(RATE_HZ, name="other")
    server.plug_in(RATE_HZ)
    server.play(noise(MINUTE_S), RATE_HZ, name="other")
    patient = msgspec.structs.replace(PATIENT, stalled_after_s=10.0)  # the server moves in its time
    with listening("portaudio", liveness=patient) as heard:
        heard.until_state("silent")
        server.unplug()
        heard.until_state("hearing")
        facts = heard.capture.source.facts
    assert facts["openings"] == 1, "nothing has told us"
    assert facts["identity"] == "name:pulse"


def test_a_server_that_is_not_there_at_boot_is_waited_for(server: SoundServer) -> None:
    """A11, E05: first no server, then one without a microphone, then one with it."""
    server.kill()
    with listening("portaudio") as heard:
        heard.until_state("absent")
        heard.spend(1.0)
        assert heard.status.state in {"absent", "recovering"}
        server.start()
        heard.spend(1.0)
        assert heard.blocks == []
        server.plug_in(RATE_HZ)
        server.play(noise(MINUTE_S), RATE_HZ)
        assert heard.until_state("hearing") < RECOVERED_S
