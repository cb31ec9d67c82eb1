"""Recordings on disk: every format and rate is read alike, every bad file is one clear error."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.errors import RecordingError
from edge.recording import find_recordings, read_blocks, read_part, recording_info

FloatArray = NDArray[np.float32]
DATA_LENGTH_AT = 40  # in the 44 bytes of header that soundfile writes before PCM
HEADER_BYTES = 44


def noise(seconds: float = 0.5, rate_hz: int = 16_000, channels: int = 1) -> FloatArray:
    shape = (round(seconds * rate_hz), channels)
    samples = np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)
    return samples[:, 0] if channels == 1 else samples


def read_all(path: Path, block_frames: int = 1000) -> FloatArray:
    blocks = list(read_blocks(recording_info(path), block_frames=block_frames))
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    return np.concatenate(blocks)


def write(path: Path, samples: FloatArray, subtype: str | None = None, rate: int = 16_000) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


def with_data_length(wav: bytes, length: int) -> bytes:
    riff_length = min(0xFFFF_FFFF, length + HEADER_BYTES - 8)
    riff = wav[:4] + riff_length.to_bytes(4, "little") + wav[8:DATA_LENGTH_AT]
    return riff + length.to_bytes(4, "little") + wav[DATA_LENGTH_AT + 4 :]


def refusal(path: Path) -> str:
    with pytest.raises(RecordingError) as raised:
        read_all(path)
    text = str(raised.value)
    assert text.startswith(f"{path}: ")
    assert len(text.splitlines()) == 1
    return text


@pytest.mark.parametrize(
    ("name", "subtype", "tolerance"),
    [
        ("a.wav", "PCM_16", 2**-15),
        ("a.wav", "PCM_24", 2**-23),
        ("a.wav", "PCM_32", 2**-23),
        ("a.wav", "FLOAT", 0.0),
        ("a.flac", "PCM_16", 2**-15),
        ("a.flac", "PCM_24", 2**-23),
    ],
)
def test_every_lossless_format_gives_the_samples_that_were_written(
    tmp_path: Path, name: str, subtype: str, tolerance: float
) -> None:
    samples = noise()
    path = write(tmp_path / name, samples, subtype)
    np.testing.assert_allclose(read_all(path), samples, rtol=0, atol=tolerance)


def test_ogg_gives_nearly_the_samples_that_were_written(tmp_path: Path) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000).astype(np.float32)
    read = read_all(write(tmp_path / "a.ogg", tone, rate=48_000))
    assert len(read) == len(tone)
    assert np.sqrt(np.mean((read - tone) ** 2)) < 0.01


def test_channels_are_averaged_to_mono(tmp_path: Path) -> None:
    samples = noise(channels=3)
    path = write(tmp_path / "a.wav", samples, "FLOAT")
    assert recording_info(path).channels == 3
    np.testing.assert_allclose(read_all(path), samples.mean(axis=1), rtol=0, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [4_000, 11_025, 44_100, 96_000, 192_000, 384_000])
def test_any_rate_in_range_is_told_as_it_is(tmp_path: Path, rate_hz: int) -> None:
    info = recording_info(write(tmp_path / "a.wav", noise(2.0, rate_hz), rate=rate_hz))
    assert (info.rate_hz, info.nyquist_hz, info.duration_s) == (rate_hz, rate_hz / 2, 2.0)


@pytest.mark.parametrize("rate_hz", [3_999, 384_001])
def test_a_rate_out_of_range_is_refused_with_the_range(tmp_path: Path, rate_hz: int) -> None:
    text = refusal(write(tmp_path / "a.wav", noise(), rate=rate_hz))
    assert f"{rate_hz} Hz" in text
    assert "4000 to 384000 Hz" in text


@given(block_frames=st.integers(1, 9_000))
@settings(max_examples=20, deadline=None)
def test_the_samples_do_not_depend_on_the_block_size(
    tmp_path_factory: pytest.TempPathFactory, block_frames: int
) -> None:
    path = write(tmp_path_factory.mktemp("blocks") / "a.wav", noise(), "FLOAT")
    assert np.array_equal(read_all(path, block_frames), noise())


@pytest.mark.parametrize("kept_sound_bytes", [0, 1, 2, 777, 15_999])
def test_a_truncated_wav_is_one_clear_error(tmp_path: Path, kept_sound_bytes: int) -> None:
    path = write(tmp_path / "a.wav", noise(), "PCM_16")
    path.write_bytes(path.read_bytes()[: HEADER_BYTES + kept_sound_bytes])
    assert f"promises 16000 bytes of sound, {kept_sound_bytes} are there" in refusal(path)


@pytest.mark.parametrize("container", ["WAVEX", "RF64", "RIFX"])
def test_a_truncated_wav_of_another_kind_is_refused_too(tmp_path: Path, container: str) -> None:
    path = tmp_path / "a.wav"
    name, endian = ("WAV", "BIG") if container == "RIFX" else (container, "FILE")
    soundfile.write(path, noise(), 16_000, format=name, subtype="PCM_16", endian=endian)
    path.write_bytes(path.read_bytes()[:9_000])
    assert "truncated" in refusal(path)


def test_a_wav_cut_behind_a_further_chunk_is_refused(tmp_path: Path) -> None:
    wav = write(tmp_path / "a.wav", noise(), "PCM_16").read_bytes()
    tagged = wav[:36] + b"LIST" + (5).to_bytes(4, "little") + b"hello\0" + wav[36:]
    (tmp_path / "whole.wav").write_bytes(tagged)
    (tmp_path / "cut.wav").write_bytes(tagged[:-100])
    assert len(read_all(tmp_path / "whole.wav")) == len(noise())
    assert "truncated" in refusal(tmp_path / "cut.wav")


@pytest.mark.parametrize("name", ["a.flac", "a.ogg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_truncated_compressed_recording_is_one_clear_error(
    tmp_path: Path, name: str, share: float
) -> None:
    path = write(tmp_path / name, noise(4.0))
    whole = path.read_bytes()
    path.write_bytes(whole[: round(share * len(whole))])
    refusal(path)


def test_a_flac_with_a_damaged_middle_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.flac", noise(2.0))
    raw = bytearray(path.read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 2_000] = bytes(2_000)
    path.write_bytes(raw)
    assert "damaged" in refusal(path)


@pytest.mark.parametrize("length", [0xFFFF_FFFF, 0xFFFF_FFDB, 0x8000_0000, 0x7FFF_F000])
def test_a_streamed_wav_of_unknown_length_is_read_to_its_end(tmp_path: Path, length: int) -> None:
    path = write(tmp_path / "a.wav", noise(), "PCM_16")
    whole = read_all(path)
    path.write_bytes(with_data_length(path.read_bytes(), length))
    assert np.array_equal(read_all(path), whole)


BAD_FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "text named .wav": (lambda p: p.write_text("not sound\n" * 50), "not a WAV, FLAC or OGG"),
    "0 bytes": (lambda p: p.write_bytes(b""), "empty (0 bytes)"),
    "NUL bytes": (lambda p: p.write_bytes(bytes(5_000)), "not a WAV, FLAC or OGG"),
    "no file": (lambda _: None, "no such file"),
    "a folder": (lambda p: p.mkdir(), "is a folder"),
    "header only": (lambda p: write(p, noise(0.0)), "no sound (0 samples)"),
    "cut in the header": (lambda p: p.write_bytes(b"RIFF\x24\0\0\0WAVEfmt "), "not a WAV"),
}


@pytest.mark.parametrize(("make", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_holds_no_sound_is_one_clear_error(
    tmp_path: Path, make: Callable[[Path], object], words: str
) -> None:
    make(tmp_path / "bad.wav")
    assert words in refusal(tmp_path / "bad.wav")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_that_are_not_numbers_are_refused(
    tmp_path: Path, value: float, channels: int
) -> None:
    samples = noise(channels=channels)
    samples[-1] = value
    assert "not numbers" in refusal(write(tmp_path / "a.wav", samples, "FLOAT"))


def test_a_recording_that_vanishes_while_it_is_read_is_one_clear_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    info = recording_info(path)
    path.unlink()
    for read in (lambda: list(read_blocks(info)), lambda: read_part(info, 0, 10)):
        with pytest.raises(RecordingError, match="damaged"):
            read()


@given(start=st.integers(0, 8_000), frames=st.integers(0, 9_000))
@settings(max_examples=40, deadline=None)
def test_a_part_is_what_a_slice_of_the_whole_is(
    tmp_path_factory: pytest.TempPathFactory, start: int, frames: int
) -> None:
    samples = noise(channels=2)
    path = write(tmp_path_factory.mktemp("part") / "a.wav", samples, "FLOAT")
    part = read_part(recording_info(path), start, frames)
    assert np.array_equal(part, samples.mean(axis=1, dtype=np.float32)[start : start + frames])


def test_recordings_are_found_in_every_sub_folder_whatever_their_case(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    names = ["b/2.FLAC", "1.wav", "3.Ogg", "readme.txt", "b/4.mp3"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    found = [str(path.relative_to(tmp_path)) for path in find_recordings(tmp_path)]
    assert found == ["1.wav", "3.Ogg", "b/2.FLAC"]


def test_a_single_recording_stands_for_a_folder_of_one(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", noise())
    assert find_recordings(path) == [path]


def test_a_folder_without_recordings_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no sound")
    with pytest.raises(RecordingError, match=r"no recordings in it \(looked for \.wav"):
        find_recordings(tmp_path)


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no such folder"):
        find_recordings(tmp_path / "nowhere")
