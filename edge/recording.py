"""Recordings on disk: WAV, FLAC and OGG at any rate, read in blocks, downmixed to mono."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal

import msgspec
import numpy as np

from edge.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".ogg")
BLOCK_FRAMES = 65_536
# A writer that can't seek back (a pipe, or `arecord` cut short) leaves a length near these bounds.
UNKNOWN_WAV_LENGTH = 0x7FFF_0000
OGG_HEADER_BYTES = 27
OGG_PAGE, OGG_END_OF_STREAM, OGG_LARGEST_PAGE = b"OggS", 0x04, 65_307  # RFC 3533
RF64_UNKNOWN = 0xFFFF_FFFF  # the real length is in the ds64 chunk
MAX_SAMPLE = 1e6  # floats may go beyond full scale, or hold integers, but not this
MIN_RATE_HZ, MAX_RATE_HZ = 4_000, 384_000


class RecordingInfo(msgspec.Struct, frozen=True):
    """What a recording's header promises."""

    path: Path
    rate_hz: int
    channels: int
    frames: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.rate_hz

    @property
    def nyquist_hz(self) -> float:
        """The highest frequency that the recording can hold."""
        return self.rate_hz / 2


def recording_info(path: Path) -> RecordingInfo:
    """Read and check a recording's header.

    Raises:
        RecordingError: no such file, not a recording, empty, truncated, or at an absurd rate.
    """
    import soundfile  # noqa: PLC0415  (loads a shared library that most commands don't need)

    if path.is_dir():
        raise RecordingError(f"{path}: is a folder; name the recordings in it")
    if not path.is_file():
        raise RecordingError(f"{path}: no such file")
    try:
        path.open("rb").close()
    except OSError as error:
        raise RecordingError(f"{path}: can't be read ({error.strerror})") from None
    if path.stat().st_size == 0:
        raise RecordingError(f"{path}: the file is empty (0 bytes)")
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            info = RecordingInfo(path, file.samplerate, file.channels, file.frames)
    except (soundfile.SoundFileError, TypeError) as error:
        raise RecordingError(
            f"{path}: not a WAV, FLAC or OGG recording ({_reason(error)})"
        ) from None
    if not MIN_RATE_HZ <= info.rate_hz <= MAX_RATE_HZ:
        raise RecordingError(
            f"{path}: sampled at {info.rate_hz} Hz, not at {MIN_RATE_HZ} to {MAX_RATE_HZ} Hz"
        )
    _refuse_truncated(path)
    if info.frames <= 0:
        raise RecordingError(f"{path}: the recording holds no sound (0 samples)")
    return info


def read_blocks(info: RecordingInfo, *, block_frames: int = BLOCK_FRAMES) -> Iterator[FloatArray]:
    """The recording's samples, mono float32 with full scale 1.0, a block at a time.

    Raises:
        RecordingError: the data is damaged or ends before the header says it does.
    """
    import soundfile  # noqa: PLC0415

    received = 0
    try:
        with soundfile.SoundFile(os.fsencode(info.path)) as file:
            while len(block := file.read(block_frames, dtype="float32", always_2d=True)):
                received += len(block)
                yield _mono(block, info, received)
    except (soundfile.SoundFileError, OSError) as error:
        at_s = received / info.rate_hz
        raise RecordingError(
            f"{info.path}: damaged after {at_s:.1f} s ({_reason(error)})"
        ) from None
    if received < info.frames:
        raise RecordingError(
            f"{info.path}: truncated; the header promises {info.duration_s:.1f} s, "
            f"{received / info.rate_hz:.1f} s are there. Copy the file again"
        )


def read_part(info: RecordingInfo, start: int, frames: int) -> FloatArray:
    """`frames` samples from sample `start` on, mono float32, fewer where the recording ends.

    Raises:
        RecordingError: the data is damaged.
    """
    import soundfile  # noqa: PLC0415

    try:
        with soundfile.SoundFile(os.fsencode(info.path)) as file:
            file.seek(start)
            block = file.read(frames, dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, OSError) as error:
        raise RecordingError(f"{info.path}: damaged ({_reason(error)})") from None
    return _mono(block, info, start + len(block))


def find_recordings(folder: Path) -> list[Path]:
    """Every recording below a folder, sorted by path.

    Raises:
        RecordingError: no such folder, or no recording in it.
    """
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise RecordingError(f"{folder}: no such folder")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not found:
        raise RecordingError(f"{folder}: no recordings in it (looked for {', '.join(SUFFIXES)})")
    return found


def _mono(block: FloatArray, info: RecordingInfo, received: int) -> FloatArray:
    mono = block[:, 0] if block.shape[1] == 1 else block.mean(axis=1, dtype=np.float32)
    if not (np.abs(mono) <= MAX_SAMPLE).all():
        kind = "too large for any sound" if np.isfinite(mono).all() else "not numbers"
        at_s = received / info.rate_hz
        raise RecordingError(f"{info.path}: samples that are {kind} before {at_s:.1f} s")
    return np.ascontiguousarray(mono)


def _refuse_truncated(path: Path) -> None:
    """Libsndfile shortens a truncated WAV or OGG in silence, so look at the file itself.

    Raises:
        RecordingError: less is there than the header promises, or the last page is missing.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] in _RIFF_ORDERS and head[8:12] == b"WAVE":
            start, promised = _wav_promise(file, _RIFF_ORDERS[head[:4]])
            if start + promised > size:
                raise RecordingError(
                    f"{path}: truncated; the header promises {promised} bytes of sound, "
                    f"{max(0, size - start)} are there. Copy the file again"
                )
        elif head[:4] == OGG_PAGE and not _ogg_ends(file, size):
            raise RecordingError(f"{path}: truncated; its last page is missing. Copy it again")


_RIFF_ORDERS: dict[bytes, Literal["little", "big"]] = {
    b"RIFF": "little",
    b"RF64": "little",
    b"RIFX": "big",
}


def _wav_promise(file: BinaryIO, order: Literal["little", "big"]) -> tuple[int, int]:
    """Where the sound begins and how many bytes it has, by the header; 0 when that doesn't know."""
    position, large = 12, 0
    while len(chunk := file.read(8)) == 8:  # noqa: PLR2004  (id and length, 4 bytes each)
        length = int.from_bytes(chunk[4:8], order)
        position += 8
        if chunk[:4] == b"ds64":
            large = int.from_bytes(file.read(16)[8:], order)
        if chunk[:4] == b"data":
            known = large if length == RF64_UNKNOWN else length
            return position, known if large or length < UNKNOWN_WAV_LENGTH else 0
        position += length + length % 2
        file.seek(position)
    return 0, 0


def _ogg_ends(file: BinaryIO, size: int) -> bool:
    """Whether the last page says that it is the last, and is whole."""
    file.seek(max(0, size - OGG_LARGEST_PAGE))
    tail = file.read()
    last = tail.rfind(OGG_PAGE)
    page = tail[last:]
    if last < 0 or len(page) < OGG_HEADER_BYTES:
        return False
    segments = page[OGG_HEADER_BYTES : OGG_HEADER_BYTES + page[OGG_HEADER_BYTES - 1]]
    length = OGG_HEADER_BYTES + page[OGG_HEADER_BYTES - 1] + sum(segments)
    return bool(page[5] & OGG_END_OF_STREAM) and len(page) >= length


def _reason(error: Exception) -> str:
    text = str(error).strip().rstrip(".")
    return text.rsplit(": ", 1)[-1] if text else type(error).__name__
