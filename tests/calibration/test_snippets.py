"""Snippets: what is heard is what was recorded, at a stated gain, and a band holds nothing else."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from calibration.snippets import (
    HIGHEST_RATE_HZ,
    band_alone,
    common_gain_db,
    snippet,
    sound_between,
)
from edge.recording import recording_info

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.recording import RecordingInfo

LENGTH_S = 6.0


def noise(folder: Path, rate_hz: int) -> RecordingInfo:
    samples = np.random.default_rng(rate_hz).normal(0, 0.05, round(LENGTH_S * rate_hz))
    soundfile.write(folder / "noise.wav", samples, rate_hz, subtype="FLOAT")
    return recording_info(folder / "noise.wav")


def decoded(wav: bytes) -> tuple[NDArray[np.float64], int]:
    samples, rate_hz = soundfile.read(io.BytesIO(wav))
    return samples, rate_hz


def share_outside(
    samples: NDArray[np.float64], rate_hz: int, low_hz: float, high_hz: float
) -> float:
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    frequency_hz = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    outside = (frequency_hz < low_hz) | (frequency_hz > high_hz)
    return float(power[outside].sum() / power.sum())


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000, 96_000])
def test_a_snippet_is_as_long_as_it_says_and_at_a_rate_that_browsers_play(
    tmp_path: Path, rate_hz: int
) -> None:
    sound = sound_between(noise(tmp_path, rate_hz), 1.25, 3.75)
    heard = snippet(sound, 0.0)
    samples, decoded_hz = decoded(heard.wav)
    assert decoded_hz == min(rate_hz, HIGHEST_RATE_HZ)
    assert len(samples) / decoded_hz == pytest.approx(2.5, abs=1e-4)
    assert heard.duration_s == pytest.approx(2.5, abs=1e-4)


def test_a_snippet_is_the_sound_of_that_time(tmp_path: Path) -> None:
    samples = np.zeros(5 * 16_000)
    samples[2 * 16_000] = 0.5
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    heard, _ = decoded(snippet(sound_between(recording_info(tmp_path / "a.wav"), 1.5, 3), 6.0).wav)
    assert int(np.argmax(heard)) == 8_000
    assert heard.max() == pytest.approx(0.5 * 10 ** (6 / 20), abs=1e-3)


def test_beyond_the_ends_of_a_recording_there_is_nothing(tmp_path: Path) -> None:
    sound = sound_between(noise(tmp_path, 16_000), -2.0, 99.0)
    assert snippet(sound, 0.0).duration_s == LENGTH_S


@pytest.mark.parametrize(
    ("low_hz", "high_hz"),
    [(8.0, 159.0), (60.0, 90.0), (1_000.0, 2_000.0), (2_400.0, 2_500.0), (6_500.0, 8_000.0)],
)
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_a_band_alone_holds_no_energy_outside_of_it(
    tmp_path: Path, rate_hz: int, low_hz: float, high_hz: float
) -> None:
    band = band_alone(sound_between(noise(tmp_path, rate_hz), 2.0, 4.0), low_hz, high_hz)
    samples, decoded_hz = decoded(snippet(band, common_gain_db(band)).wav)
    assert share_outside(samples, decoded_hz, low_hz / 1.3, high_hz * 1.3) < 1e-3
    assert 0.85 < np.abs(samples).max() <= 1.0


def test_a_band_alone_comes_when_the_sound_does(tmp_path: Path) -> None:
    """Zero phase: a burst in the band is not delayed."""
    rate_hz = 32_000
    time_s = np.arange(4 * rate_hz) / rate_hz
    burst = np.exp(-(((time_s - 2.0) / 0.02) ** 2)) * np.sin(2 * np.pi * 3_000 * time_s)
    soundfile.write(tmp_path / "a.wav", burst, rate_hz, subtype="FLOAT")
    sound = sound_between(recording_info(tmp_path / "a.wav"), 1.0, 3.0)
    envelope = np.abs(band_alone(sound, 2_000.0, 4_000.0).piece)
    assert np.average(np.arange(len(envelope)), weights=envelope**2) == pytest.approx(
        rate_hz, abs=rate_hz * 0.001
    )


def test_silence_is_not_amplified_beyond_bounds(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    sound = sound_between(recording_info(tmp_path / "a.wav"), 0.0, 1.0)
    assert common_gain_db(sound) == 80.0
    assert not decoded(snippet(sound, 80.0).wav)[0].any()


def test_two_snippets_of_one_gain_keep_their_difference(tmp_path: Path) -> None:
    info = noise(tmp_path, 16_000)
    loud = sound_between(info, 1.0, 2.0)
    soft = type(loud)(loud.samples / 10, loud.rate_hz, loud.start, loud.length)
    gain_db = common_gain_db(loud, soft)
    heard = [decoded(snippet(sound, gain_db).wav)[0] for sound in (loud, soft)]
    assert np.std(heard[0]) / np.std(heard[1]) == pytest.approx(10.0, rel=0.01)
