"""The first look at the normal sound: what can't be learnt from is refused, by name."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.quality import MIN_NORMAL_S
from calibration.simulator import Machine
from calibration.survey import Survey, survey
from edge.bundle import RecordingProvenance
from edge.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.recording import RecordingInfo

RATE_HZ = 16_000


def sine(amplitude: float, seconds: float = 12.0, rate_hz: int = RATE_HZ) -> NDArray[np.float64]:
    """Of a frequency at which no second is a copy of another: that is a stuck driver's sound."""
    phase = 2 * np.pi * 440.317 * np.arange(seconds * rate_hz) / rate_hz
    return np.asarray(amplitude * np.sin(phase))


@pytest.mark.parametrize("amplitude", [0.99, 0.1, 0.001])
def test_the_level_of_a_sine_is_three_decibels_below_its_amplitude(
    tmp_path: Path, amplitude: float
) -> None:
    soundfile.write(tmp_path / "a.wav", sine(amplitude), RATE_HZ, subtype="FLOAT")
    assert survey(tmp_path).level_dbfs == pytest.approx(20 * np.log10(amplitude) - 3.01, abs=0.06)


def test_the_level_of_all_is_the_median_so_one_loud_recording_does_not_count(
    tmp_path: Path,
) -> None:
    for name, amplitude in {"a": 0.0099, "b": 0.01, "c": 0.9}.items():
        soundfile.write(tmp_path / f"{name}.wav", sine(amplitude, 5.0), RATE_HZ)
    assert survey(tmp_path).level_dbfs == pytest.approx(-43.0, abs=0.1)


def test_the_level_of_stereo_is_that_of_what_is_learnt_its_mean(tmp_path: Path) -> None:
    one_sided = np.stack([sine(0.5), np.zeros(12 * RATE_HZ)], axis=1)
    soundfile.write(tmp_path / "a.wav", one_sided, RATE_HZ, subtype="FLOAT")
    heard = survey(tmp_path)
    assert heard.level_dbfs == pytest.approx(20 * np.log10(0.25) - 3.01, abs=0.06)
    assert heard.provenance[0].channels == 2


def test_provenance_says_which_bytes_were_heard(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.flac"
    path.parent.mkdir()
    soundfile.write(path, sine(0.1), RATE_HZ)
    (found,) = survey(tmp_path).provenance
    assert found.path == str(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.rate_hz, found.channels, found.duration_s) == (RATE_HZ, 1, 12.0)
    modified = datetime.fromisoformat(found.modified_utc)
    assert modified == datetime.fromtimestamp(path.stat().st_mtime, timezone.utc)


def test_a_silent_recording_is_refused_by_name(tmp_path: Path) -> None:
    """E09."""
    soundfile.write(tmp_path / "good.wav", sine(0.1), RATE_HZ)
    soundfile.write(tmp_path / "mute.wav", np.zeros(12 * RATE_HZ), RATE_HZ)
    with pytest.raises(
        RecordingError, match=r"mute\.wav: silent throughout .*check the microphone"
    ):
        survey(tmp_path)


@pytest.mark.parametrize("offset", [0.001, 0.5, -1.0])
def test_a_stuck_input_is_refused_like_zeros(tmp_path: Path, offset: float) -> None:
    """E09: a dead converter delivers one constant value, which is no sound either."""
    soundfile.write(tmp_path / "stuck.wav", np.full(12 * RATE_HZ, offset), RATE_HZ)
    with pytest.raises(RecordingError, match=r"stuck\.wav: frozen throughout"):
        survey(tmp_path)


def test_a_constant_offset_does_not_count_as_level(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 0.3 + sine(0.01), RATE_HZ, subtype="FLOAT")
    assert survey(tmp_path).level_dbfs == pytest.approx(-43.0, abs=0.1)


def test_the_noise_of_two_bits_is_sound_enough(tmp_path: Path) -> None:
    dither = np.random.default_rng(0).integers(-2, 3, 12 * RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "quiet.wav", dither, RATE_HZ)
    assert -90 < survey(tmp_path).level_dbfs < -85


def test_the_noise_of_the_last_bit_is_silence(tmp_path: Path) -> None:
    """E03: a phantom microphone delivers not even noise."""
    dither = np.random.default_rng(0).integers(-1, 2, 12 * RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "mute.wav", dither, RATE_HZ)
    with pytest.raises(RecordingError, match=r"mute\.wav: silent throughout .*-9\d dBFS"):
        survey(tmp_path)


def test_too_little_sound_is_refused_and_the_need_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(0.1, 4.0), RATE_HZ)
    soundfile.write(tmp_path / "b.wav", sine(0.1, 5.9), RATE_HZ)
    with pytest.raises(RecordingError, match=r"9\.9 s of normal sound; at least 10 s"):
        survey(tmp_path)


def test_exactly_the_least_is_enough(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(0.1, MIN_NORMAL_S), RATE_HZ)
    assert survey(tmp_path).duration_s == MIN_NORMAL_S


def test_a_truncated_recording_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", sine(0.1), RATE_HZ)
    soundfile.write(tmp_path / "half.wav", sine(0.1), RATE_HZ)
    with (tmp_path / "half.wav").open("r+b") as file:
        file.truncate(100_000)
    with pytest.raises(RecordingError, match=r"half\.wav: truncated"):
        survey(tmp_path)


def test_damage_deep_inside_a_recording_is_found_and_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 12 * RATE_HZ)
    soundfile.write(tmp_path / "good.flac", noise, RATE_HZ)
    soundfile.write(tmp_path / "torn.flac", noise, RATE_HZ)
    data = bytearray((tmp_path / "torn.flac").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (tmp_path / "torn.flac").write_bytes(data)
    with pytest.raises(RecordingError, match=r"torn\.flac: (damaged|truncated)"):
        survey(tmp_path)


def test_samples_that_are_not_numbers_are_refused_by_name(tmp_path: Path) -> None:
    sound = sine(0.1)
    sound[RATE_HZ] = np.nan
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ, subtype="FLOAT")
    with pytest.raises(RecordingError, match=r"a\.wav: samples that are not numbers"):
        survey(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no recordings in it"):
        survey(tmp_path)


def test_a_folder_of_other_files_is_as_good_as_empty(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("normal since Monday")
    with pytest.raises(RecordingError, match="no recordings in it"):
        survey(tmp_path)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="nowhere: no such folder"):
        survey(tmp_path / "nowhere")


def test_one_rate_needs_no_note(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", sine(0.1), RATE_HZ)
    assert survey(tmp_path).notes == []


def test_mixed_rates_are_noted_with_the_recordings_that_limit(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "fast.wav", sine(0.1, 6.0, 48_000), 48_000)
    soundfile.write(tmp_path / "slow.wav", sine(0.1, 6.0, 8_000), 8_000)
    heard = survey(tmp_path)
    (note,) = heard.notes
    assert "1 of 2 recordings" in note
    assert "slow.wav" in note
    assert "nothing above 4000 Hz" in note
    assert "up to 24000 Hz" in note
    assert heard.limit_hz == 4_000


@given(st.lists(st.floats(-80, 0), min_size=1, max_size=20))
@settings(max_examples=50, deadline=None)
def test_the_level_lies_between_those_of_the_recordings(levels: list[float]) -> None:
    def provenance(level: float) -> RecordingProvenance:
        return RecordingProvenance(
            path="", sha256="", rate_hz=1, channels=1, duration_s=1.0, level_dbfs=level,
            modified_utc="", lesson=0,
        )  # fmt: skip

    heard = Survey([], [provenance(level) for level in levels])
    assert min(levels) <= heard.level_dbfs <= max(levels)


def test_reading_a_real_machine_s_sound_keeps_the_order_of_paths(tmp_path: Path) -> None:
    machine = Machine(3, RATE_HZ)
    for name in ("b", "a", "c"):
        soundfile.write(tmp_path / f"{name}.wav", machine.normal(4.0, ord(name)), RATE_HZ)
    heard = survey(tmp_path)
    infos: list[RecordingInfo] = heard.recordings
    assert [info.path.stem for info in infos] == ["a", "b", "c"]
    assert [record.path for record in heard.provenance] == [str(info.path) for info in infos]
