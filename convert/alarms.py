"""What becomes of faults at the alarm level of a calibration: `earpatch evaluate --alarms`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import soundfile

from calibration.simulator import FAULTS, Box, Fault, Machine
from convert.evaluation_masks import CELL_FRAMES
from edge.scoring import score_recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from convert.evaluation_sets import Clip
    from edge.bundle import Bundle
    from edge.events import Event

CLIP_S, LEAD_S = 30.0, 10.0  # a fault begins in the middle of ordinary sound
SHORTEST_S, LONGEST_S = 1.5, 4.0
COLUMN_S = CELL_FRAMES * 0.01  # of a mask
FIRST_TAKE = 5_000


class Outcome(msgspec.Struct, frozen=True):
    """One fault, or one clip without any."""

    found: bool
    overlap: float  # of time x frequency with the event that lies best; 0 where none does
    start_error_s: float | None
    strays: int  # events that touch no fault


class Alarms(msgspec.Struct, frozen=True, kw_only=True):
    """One set's row."""

    set: str
    faults: int
    recall: float
    median_overlap: float | None  # of those that were found, where a fault is a box
    median_start_error_s: float | None
    strays: int
    sound_s: float


def simulated_outcomes(
    bundle: Bundle, machine: Machine, folder: Path, faults: int, level_db: float
) -> list[Outcome]:
    """Clips of half a minute, each with one fault whose box is known."""
    outcomes = []
    for number in range(faults):
        random = np.random.default_rng([machine.seed, FIRST_TAKE + number])
        kind = sorted(FAULTS)[number % len(FAULTS)]
        length_s = float(random.uniform(SHORTEST_S, LONGEST_S))
        fault = Fault(kind, LEAD_S, length_s, level_db)
        sound, (box,) = machine.with_faults(CLIP_S, FIRST_TAKE + number, [fault])
        path = folder / f"{number}.wav"
        soundfile.write(path, sound, machine.rate_hz, subtype="FLOAT")
        outcomes.append(outcome(score_recording(bundle, path).verdict.events, box))
    return outcomes


def mixed_outcomes(bundle: Bundle, clips: Sequence[Clip]) -> list[Outcome]:
    """Clips whose masks say when the event was; its frequencies are many, so it is no box."""
    outcomes = []
    for clip in clips:
        events = score_recording(bundle, clip.path).verdict.events
        if clip.mask is None:
            outcomes.append(Outcome(found=False, overlap=0.0, start_error_s=None,
                                    strays=len(events)))  # fmt: skip
            continue
        columns = np.flatnonzero(clip.mask.any(axis=1))
        box = Box(columns[0] * COLUMN_S, (columns[-1] + 1) * COLUMN_S, 0.0, np.inf)
        outcomes.append(msgspec.structs.replace(outcome(events, box), overlap=0.0))
    return outcomes


def outcome(events: Sequence[Event], truth: Box) -> Outcome:
    """What events say of one fault."""
    boxes = [Box(e.start_s, e.end_s, e.low_hz, e.high_hz) for e in events]
    touching = [box for box in boxes if _touches(box, truth)]
    best = max(touching, key=lambda box: box.overlap(truth), default=None)
    return Outcome(
        found=best is not None,
        overlap=best.overlap(truth) if best else 0.0,
        start_error_s=abs(min(b.start_s for b in touching) - truth.start_s) if touching else None,
        strays=len(boxes) - len(touching),
    )


def row(name: str, outcomes: Sequence[Outcome], faults: int, sound_s: float) -> Alarms:
    """A set's row; outcomes of plain clips come with the others and count as strays alone."""
    found = [o for o in outcomes if o.found]
    boxes = [o.overlap for o in found if o.overlap]
    starts = [o.start_error_s for o in found if o.start_error_s is not None]
    return Alarms(
        set=name,
        faults=faults,
        recall=len(found) / faults if faults else float("nan"),
        median_overlap=float(np.median(boxes)) if boxes else None,
        median_start_error_s=float(np.median(starts)) if starts else None,
        strays=sum(o.strays for o in outcomes),
        sound_s=sound_s,
    )


def table(rows: Sequence[Alarms]) -> str:
    """As text."""
    width = max(len("set"), *(len(r.set) for r in rows))
    lines = [f"{'set':{width}}  faults  recall  box overlap  start error  strays in"]
    for r in rows:
        overlap = "-" if r.median_overlap is None else f"{r.median_overlap:.2f}"
        start = "-" if r.median_start_error_s is None else f"{r.median_start_error_s * 1000:.0f} ms"
        lines.append(
            f"{r.set:{width}}  {r.faults:6d}  {r.recall:6.3f}  {overlap:>11}  {start:>11}  "
            f"{r.strays:6d} {r.sound_s / 60:.0f} min"
        )
    return "\n".join(lines)


def _touches(box: Box, truth: Box) -> bool:
    return (
        box.start_s < truth.end_s
        and truth.start_s < box.end_s
        and box.low_hz < truth.high_hz
        and truth.low_hz < box.high_hz
    )
