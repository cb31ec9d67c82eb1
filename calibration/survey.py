"""A first look at the normal sound: every recording is read whole before anything is learnt."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.figures import Figures, decibels, gather
from calibration.findings import Quality, Stretch
from calibration.quality import MIN_NORMAL_S, assess
from edge.bundle import RecordingProvenance
from edge.errors import RecordingError
from edge.progress import track
from edge.recording import (
    BLOCK_FRAMES,
    RecordingInfo,
    find_recordings,
    read_blocks,
    read_part,
    recording_info,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Piece:
    """An uninterrupted stretch of a recording that is learnt from."""

    recording: RecordingInfo
    start: int  # first sample
    end: int  # the one after the last

    @property
    def rate_hz(self) -> int:
        """Samples in a second."""
        return self.recording.rate_hz

    @property
    def start_s(self) -> float:
        """Where it begins in the recording."""
        return self.start / self.rate_hz

    @property
    def duration_s(self) -> float:
        """Its length."""
        return (self.end - self.start) / self.rate_hz

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Its samples, mono float32 with full scale 1.0, a block at a time.

        Raises:
            RecordingError: the data is damaged.
        """
        if self.end - self.start == self.recording.frames:
            yield from read_blocks(self.recording)
            return
        for start in range(self.start, self.end, BLOCK_FRAMES):
            yield read_part(self.recording, start, min(BLOCK_FRAMES, self.end - start))


class Survey(msgspec.Struct, frozen=True):
    """What the recordings of normal sound hold; those of which nothing is kept are not in it."""

    recordings: list[RecordingInfo]
    provenance: list[RecordingProvenance]
    quality: Quality = Quality()

    @property
    def duration_s(self) -> float:
        """Length of all that is learnt from."""
        return sum(piece.duration_s for piece in self.pieces)

    @property
    def pieces(self) -> list[Piece]:
        """All that is learnt from, in order; no window may reach from one into another."""
        return [piece for info in self.recordings for piece in self.kept(info)]

    def lessons(self) -> list[list[tuple[int, RecordingInfo]]]:
        """Numbers and recordings of each operating state."""
        taught: dict[int, list[tuple[int, RecordingInfo]]] = {}
        pairs = zip(self.recordings, self.provenance, strict=True)
        for number, (info, provenance) in enumerate(pairs):
            taught.setdefault(provenance.lesson, []).append((number, info))
        return list(taught.values())

    def kept(self, recording: RecordingInfo) -> list[Piece]:
        """What is learnt of one recording."""
        return _pieces(recording, self.quality.left_out.get(str(recording.path), []))

    @property
    def level_dbfs(self) -> float:
        """Median of the recordings' RMS levels; full scale is an amplitude of 1."""
        return float(np.median([recording.level_dbfs for recording in self.provenance]))

    @property
    def limit_hz(self) -> float:
        """The lowest Nyquist frequency."""
        return min(info.nyquist_hz for info in self.recordings)

    @property
    def notes(self) -> list[str]:
        """What the technician should know."""
        rates = sorted({info.rate_hz for info in self.recordings})
        if len(rates) == 1:
            return []
        slow = [info for info in self.recordings if info.rate_hz == rates[0]]
        return [
            f"{len(slow)} of {len(self.recordings)} recordings are sampled at only {rates[0]} Hz "
            f"(such as {slow[0].path.name}): nothing above {self.limit_hz:.0f} Hz is learnt or "
            f"scored. Leave them out to hear up to {rates[1] / 2:.0f} Hz"
        ]


def survey(folder: Path, *, accept: bool = False) -> Survey:
    """Read every recording below a folder, and judge the sound.

    Args:
        folder: where the recordings are.
        accept: learn what would be refused, unless there is no sound.

    Raises:
        RecordingError: none there, one is damaged, all together are too short, or the sound is
            not fit to learn from.
    """
    infos = [recording_info(path) for path in find_recordings(folder)]
    duration_s = sum(info.duration_s for info in infos)
    if duration_s < MIN_NORMAL_S:
        raise RecordingError(
            f"{folder}: {duration_s:.1f} s of normal sound; at least {MIN_NORMAL_S:.0f} s are "
            "needed, and ten minutes are better"
        )
    return judge(infos, accept=accept)


def judge(infos: list[RecordingInfo], *, accept: bool) -> Survey:
    """Read recordings of one operating state, and judge their sound.

    Raises:
        RecordingError: one is damaged, or the sound is not fit to learn from.
    """
    limit_hz = min(info.nyquist_hz for info in infos)
    figures = [
        gather(info, read_blocks(info), limit_hz)
        for info in track(infos, "Reading normal sound", len(infos), "files")
    ]
    quality = assess(figures, accept=accept)
    kept = [
        (info, own)
        for info, own in zip(infos, figures, strict=True)
        if _pieces(info, quality.left_out.get(own.name, []))
    ]
    provenance = [_provenance(info, own, quality.left_out.get(own.name, [])) for info, own in kept]
    return Survey([info for info, _ in kept], provenance, quality)


def _pieces(recording: RecordingInfo, left_out: list[Stretch]) -> list[Piece]:
    rate_hz = recording.rate_hz
    cuts = [min(round(time_s * rate_hz), recording.frames) for part in left_out for time_s in part]
    bounds = [0, *cuts, recording.frames]
    return [
        Piece(recording, start, end)
        for start, end in zip(bounds[::2], bounds[1::2], strict=True)
        if end > start
    ]


def _provenance(
    info: RecordingInfo, figures: Figures, left_out: list[Stretch]
) -> RecordingProvenance:
    stat = info.path.stat()
    return RecordingProvenance(
        path=str(info.path.resolve()),
        sha256=file_digest(info.path),
        rate_hz=info.rate_hz,
        channels=info.channels,
        duration_s=round(info.duration_s, 3),
        level_dbfs=round(_level_dbfs(figures, left_out), 1),
        modified_utc=datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(),
        lesson=0,
    )


def _level_dbfs(figures: Figures, left_out: list[Stretch]) -> float:
    """RMS level, around the mean, of what is kept: an offset is no sound."""
    rows = figures.seconds
    kept = np.ones(len(rows), bool)
    for start_s, end_s in left_out:
        kept &= (rows["end_s"] <= start_s) | (rows["start_s"] >= end_s)
    rows = rows[kept]
    weight = (rows["end_s"] - rows["start_s"]) / (rows["end_s"] - rows["start_s"]).sum()
    mean = float((weight * rows["mean"]).sum())
    return float(decibels(float((weight * (rows["power"] + (rows["mean"] - mean) ** 2)).sum())))


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
