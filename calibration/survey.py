"""A first look at the normal sound: every recording is read whole before anything is learnt."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.bundle import RecordingProvenance
from edge.errors import RecordingError
from edge.progress import track
from edge.recording import RecordingInfo, find_recordings, read_blocks, recording_info

if TYPE_CHECKING:
    from pathlib import Path

SILENCE_DBFS = -100.0  # below the quantisation noise of 16 bits: nothing was connected
MIN_NORMAL_S = 10.0


class Survey(msgspec.Struct, frozen=True):
    """What the recordings of normal sound hold."""

    recordings: list[RecordingInfo]
    provenance: list[RecordingProvenance]

    @property
    def duration_s(self) -> float:
        """Length of all recordings together."""
        return sum(info.duration_s for info in self.recordings)

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


def survey(folder: Path) -> Survey:
    """Read every recording below a folder.

    Raises:
        RecordingError: none there, one is damaged or silent, or all together are too short.
    """
    paths = find_recordings(folder)
    infos = [recording_info(path) for path in paths]
    duration_s = sum(info.duration_s for info in infos)
    if duration_s < MIN_NORMAL_S:
        raise RecordingError(
            f"{folder}: {duration_s:.1f} s of normal sound; at least {MIN_NORMAL_S:.0f} s are "
            "needed, and ten minutes are better"
        )
    provenance = [
        _provenance(info) for info in track(infos, "Reading normal sound", len(infos), "files")
    ]
    return Survey(infos, provenance)


def _provenance(info: RecordingInfo) -> RecordingProvenance:
    level_dbfs = _level_dbfs(info)
    if level_dbfs < SILENCE_DBFS:
        raise RecordingError(
            f"{info.path}: silent or stuck ({level_dbfs:.0f} dBFS). A machine can't be "
            "learnt from silence: check the microphone, or leave this recording out"
        )
    stat = info.path.stat()
    return RecordingProvenance(
        path=str(info.path),
        sha256=file_digest(info.path),
        rate_hz=info.rate_hz,
        channels=info.channels,
        duration_s=round(info.duration_s, 3),
        level_dbfs=round(level_dbfs, 1),
        modified_utc=datetime.fromtimestamp(stat.st_mtime, timezone.utc).isoformat(),
    )


def _level_dbfs(info: RecordingInfo) -> float:
    """RMS level around the mean: an offset is no sound."""
    total, power, samples = 0.0, 0.0, 0
    for block in read_blocks(info):
        wide = block.astype(np.float64)
        total += float(wide.sum())
        power += float(np.square(wide).sum())
        samples += len(block)
    variance = power / samples - (total / samples) ** 2
    return 10.0 * float(np.log10(max(variance, 1e-20)))


def file_digest(path: Path) -> str:
    """The sha256 of a file, read a megabyte at a time."""
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            hasher.update(block)
    return hasher.hexdigest()
