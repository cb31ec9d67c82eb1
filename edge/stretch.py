"""A stretch of sound without a hole, and what it costs to score it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

if TYPE_CHECKING:
    from edge.capture.sound import Block
    from edge.detector import Detector, Findings
    from edge.events import Event

BESIDE_GAP_S = 0.5  # an event that near to a hole may have lost a part to it
LOAD_WINDOW_S = 60.0


class Found(NamedTuple):
    """An event, in seconds of the input's stream."""

    event: Event
    data_gap: bool  # whether sound is missing beside it, so that it may have been longer


class Stretch:
    """Sound without a hole, and its detector."""

    def __init__(self, detector: Detector, first: Block, *, after_gap: bool) -> None:
        self._detector, self.rate_hz = detector, first.rate_hz
        self._after_gap, self._samples = after_gap, 0
        self.largest = 0.0  # evidence of the last block
        self.score: float | None = None  # the same, of the last block that gave any
        self.column_s, self.row_edges_hz = detector.column_s, detector.row_edges_hz
        self.levels_db = self.evidence = np.empty((0, detector.rows), np.float32)  # it added
        self.columns = 0  # of the map that were scored
        self._at_s = first.at_s  # of the first sample, as the device's own clock has it by now

    def push(self, block: Block) -> list[Found]:
        """Score the next block."""
        self._at_s = block.at_s - self._samples / self.rate_hz
        self._samples += len(block.samples)
        findings = self._detector.push(block.samples)
        self.levels_db, self.evidence = findings.levels_db, findings.fast.evidence
        self.largest = float(self.evidence.max()) if self.evidence.size else 0.0
        self.score = self.largest if self.evidence.size else self.score
        return self._found(findings, end_s=None)

    def finish(self, *, by_gap: bool) -> list[Found]:
        """The stretch is over; whether a hole has ended it."""
        end_s = self._samples / self.rate_hz if by_gap else None
        return self._found(self._detector.finish(), end_s)

    def _found(self, findings: Findings, end_s: float | None) -> list[Found]:
        self.columns += len(findings.distances)
        found = []
        for event in findings.events:
            cut_short = end_s is not None and event.end_s > end_s - BESIDE_GAP_S
            began_before = self._after_gap and event.start_s < BESIDE_GAP_S
            placed = msgspec.structs.replace(
                event,
                start_s=round(event.start_s + self._at_s, 3),
                end_s=round(event.end_s + self._at_s, 3),
                peak_s=round(event.peak_s + self._at_s, 3),
            )
            found.append(Found(placed, cut_short or began_before))
        return found


class Load:
    """Time spent on scoring, over the sound that was scored; of about the last minute."""

    def __init__(self) -> None:
        self._spent_s = self._sound_s = 0.0
        self.last_s: float | None = None  # when a column was scored last

    def add(self, spent_s: float, sound_s: float) -> None:
        """So much sound took so long."""
        keep = max(0.0, 1.0 - sound_s / LOAD_WINDOW_S)
        self._spent_s = keep * self._spent_s + spent_s
        self._sound_s = keep * self._sound_s + sound_s

    def note_score(self, columns: int) -> None:
        """So many columns of the map were scored: sound alone is no score."""
        if columns:
            self.last_s = time.monotonic()

    @property
    def factor(self) -> float:
        """From 1 on it is too slow."""
        return self._spent_s / self._sound_s if self._sound_s else 0.0
