"""Scoring recordings: the node's own path, as fast as it goes, with the whole map kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from edge.detector import Detector
from edge.errors import EarpatchError, RecordingError
from edge.events import Event
from edge.recording import read_blocks, recording_info

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.detector import Findings

    FloatArray = NDArray[np.float32]


class Verdict(msgspec.Struct, frozen=True):
    """What one recording amounts to; `--json` prints it as it is."""

    path: str
    score: float  # largest evidence; 1 is the alarm level
    false_alarms_per_day: float  # how often normal sound would reach this score
    anomalous: bool
    events: list[Event]


@dataclass(frozen=True)
class Scored:
    """A verdict with the map behind it."""

    verdict: Verdict
    distances: FloatArray  # [columns, rows]
    levels_db: FloatArray  # [columns, rows]
    evidence: FloatArray  # [columns, rows]
    nearest: NDArray[np.int32]  # [columns, rows]: the row of the bank that is most alike
    time_edges_s: NDArray[np.float64]  # [columns + 1]
    freq_edges_hz: NDArray[np.float64]  # [rows + 1]
    note: str | None  # what could not be scored, and why


class _Part(NamedTuple):
    """What is kept of one block's findings; the rest, by far the most, is not."""

    distances: FloatArray
    levels_db: FloatArray
    nearest: NDArray[np.int32]
    evidence: FloatArray
    slow_evidence: FloatArray | None
    events: list[Event]


def score_recording(bundle: Bundle, path: Path) -> Scored:
    """Score one recording.

    Raises:
        RecordingError: it can't be read to its end, or is too short.
    """
    info = recording_info(path)
    detector = Detector(bundle, rate_hz=info.rate_hz)
    if info.duration_s < detector.column_s:
        raise RecordingError(
            f"{path}: {info.duration_s:.3f} s long; at least {detector.column_s:.2f} s are needed"
        )
    parts = [_part(detector.push(block)) for block in read_blocks(info)]
    parts.append(_part(detector.finish()))
    distances = np.concatenate([p.distances for p in parts])
    evidence = np.concatenate([p.evidence for p in parts])
    if slow := [p.slow_evidence for p in parts if p.slow_evidence is not None]:
        evidence = np.maximum(evidence, np.concatenate(slow))
    events = [event for p in parts for event in p.events]
    events.sort(key=lambda event: (event.start_s, event.low_hz))
    score = round(float(evidence.max()), 4)
    rate = float(f"{bundle.manifest.thresholds.tail.per_day(score):.3g}")
    verdict = Verdict(str(path), score, rate, bool(events), events)
    return Scored(
        verdict=verdict,
        distances=distances,
        levels_db=np.concatenate([p.levels_db for p in parts]),
        evidence=evidence,
        nearest=np.concatenate([p.nearest for p in parts]),
        time_edges_s=np.arange(len(distances) + 1) * detector.column_s,
        freq_edges_hz=detector.row_edges_hz,
        note=_note(bundle, detector, info.nyquist_hz),
    )


def save_map(scored: Scored, folder: Path) -> Path:
    """Write `<stem>.npz`: `map` and `evidence` [T, F], `time_edges_s` [T + 1], `freq_edges_hz`.

    Rows above the recording's own Nyquist frequency are not in it.

    Raises:
        EarpatchError: it can't be written.
    """
    target = folder / f"{Path(scored.verdict.path).stem}.npz"
    try:
        np.savez_compressed(
            target,
            map=scored.distances,
            evidence=scored.evidence,
            time_edges_s=scored.time_edges_s,
            freq_edges_hz=scored.freq_edges_hz,
        )
    except OSError as error:
        raise EarpatchError(f"{target}: can't be written ({error.strerror or error})") from None
    return target


def refuse_colliding_maps(paths: list[Path]) -> None:
    """Two recordings with one stem would overwrite each other's map.

    Raises:
        RecordingError: naming both.
    """
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise RecordingError(
                f"{seen[path.stem]} and {path} would both write {path.stem}.npz; "
                "score them in two runs with different --maps folders"
            )
        seen[path.stem] = path


def _part(found: Findings) -> _Part:
    fast, slow = found.fast, found.slow
    return _Part(
        distances=found.distances,
        levels_db=found.levels_db,
        nearest=fast.nearest.copy(),  # not a view of what waited with it
        evidence=fast.evidence,
        slow_evidence=None if slow is None else slow.evidence,
        events=found.events,
    )


def _note(bundle: Bundle, detector: Detector, nyquist_hz: float) -> str | None:
    manifest = bundle.manifest
    if detector.rows < manifest.rows:
        return (
            f"holds nothing above {nyquist_hz:.0f} Hz, so only {detector.rows} of the "
            f"{manifest.rows} rows that were learnt are scored"
        )
    if nyquist_hz > manifest.limit_hz:
        return f"sound above {manifest.limit_hz:.0f} Hz was not learnt and is not scored"
    return None
