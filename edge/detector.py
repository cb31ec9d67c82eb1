"""Sound in, events out: the whole path of the node behind one pair of calls.

The same object scores a recording and a live stream, so both give the same map for the same sound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge.bundle import embedding_scale
from edge.drift import Drift
from edge.embedding import Embedder, column_s, row_edges_hz, rows_below
from edge.errors import RecordingError
from edge.events import Event, EventFinder, EventRules, Grid
from edge.evidence import ALARM, Evidence, Weighed
from edge.frontend import band_edges_hz

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.embedding import Columns
    from edge.evidence import Thresholds
    from edge.nearest import Bank

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]


SLOW_RULES = EventRules(max_columns=750)
REMEMBERED_S = 120.0
SHORT_SCALE_S, LASTING_EVERY_S = 1.0, 3_600.0


@dataclass(frozen=True)
class Findings:
    """What one call added. Evidence follows distances by half the longest averaging time."""

    distances: FloatArray  # the anomaly map, [columns, rows]
    levels_db: FloatArray  # [columns, rows]
    fast: Weighed  # from the scales that an alarm can wait for
    slow: Weighed | None  # from the scales of ten seconds and more, where there are any
    events: list[Event]
    ageing: bool  # whether normal sound has departed from what calibration heard


class Detector:
    """Scores a stream of mono samples.

    Args:
        bundle: the verified bundle.
        rate_hz: rate of the samples.
        rules: how cells become events.
        drift: goes on watching over several streams; a new one unless told.

    Raises:
        RecordingError: the rate is so low that no row of the map can be scored.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        rate_hz: int,
        rules: EventRules | None = None,
        drift: Drift | None = None,
    ) -> None:
        manifest = self._manifest = bundle.manifest
        info, front_end, limits = manifest.backbone, manifest.front_end, manifest.thresholds
        self.limit_hz = min(rate_hz / 2, manifest.limit_hz)
        self.rows = min(manifest.rows, rows_below(self.limit_hz, front_end, info))
        if self.rows == 0:
            raise RecordingError(f"sound sampled at {rate_hz} Hz holds none of the map's rows")
        self.column_s = column_s(front_end, info)
        self.row_edges_hz = row_edges_hz(front_end, info)[: self.rows + 1]
        self._bank = bundle.bank
        bands = self._bands = self.rows * info.bands_per_row
        self._band_edges_hz = band_edges_hz(front_end)[: bands + 1]
        self._normal_bands_db = np.asarray(manifest.bands_db[:bands], np.float32)
        self._scale = embedding_scale(manifest)
        self._embedder = Embedder(
            front_end, bundle.backbone, rate_hz=rate_hz, limit_hz=self.limit_hz
        )
        self._evidence = Evidence(limits, limits.groups(), self.rows)
        self._finder = self._finder_of(limits, rules)
        self._slow_finder = self._finder_of(limits, SLOW_RULES) if limits.slow() else None
        self._told: list[Event] = []
        self._drift = drift or Drift(limits.tail, self.column_s)
        self._lasting_told_s = -np.inf  # while ageing: end of the last lasting event that was told
        self._nothing = self._weigh_nothing()

    def push(self, samples: FloatArray) -> Findings:
        """Score samples, mono float32 with full scale 1.0."""
        columns = self._embedder.push(samples)
        if not len(columns.embeddings):  # most blocks of a microphone complete no window
            if self._nothing.ageing != self._drift.ageing:
                self._nothing = replace(self._nothing, ageing=self._drift.ageing)
            return self._nothing
        return self._find(columns, last=False)

    def finish(self) -> Findings:
        """The sound has ended: score what is left and close what is open."""
        return self._find(self._embedder.finish(), last=True)

    def _weigh_nothing(self) -> Findings:
        """What a call adds that completes no column."""
        cells = np.empty((0, self.rows), np.float32)
        nearest, bands_db = (
            np.empty((0, self.rows), np.int32),
            np.empty((0, self._bands), np.float32),
        )
        weighed = Weighed(cells, cells.astype(np.int16), cells, cells, nearest, bands_db)
        slow = None if self._slow_finder is None else weighed
        return Findings(cells, cells, weighed, slow, [], ageing=False)

    def _origin(self, bank_row: int) -> tuple[str, float]:
        bank = self._manifest.bank
        recording = self._manifest.recordings[bank.origin_recording[bank_row]]
        return Path(recording.path).name, bank.origin_s[bank_row]

    def _finder_of(self, limits: Thresholds, rules: EventRules | None) -> EventFinder:
        return EventFinder(
            alarm=ALARM,
            tail=limits.tail,
            release=limits.release,
            grid=Grid(self.column_s, self.row_edges_hz, self._band_edges_hz),
            rules=rules,
            origin=self._origin,
        )

    def _find(self, columns: Columns, *, last: bool) -> Findings:
        columns = columns.rows(self.rows)
        distances, nearest = grid_nearest(self._bank, columns.embeddings, self._scale)
        levels_db = columns.levels_db
        bands_db = columns.bands_db - self._normal_bands_db
        found = self._evidence.push(distances, levels_db, nearest, bands_db)
        if last:
            rest = self._evidence.finish()
            found = [Weighed.join(parts) for parts in zip(found, rest, strict=True)]
        fast, slow = found[0], None
        events = self._finder.push(fast, last=last)
        if self._slow_finder is not None:
            self._told += events
            slow = found[1]
            late = self._slow_finder.push(slow, last=last)
            events = events + [event for event in late if not self._was_told(event)]
        self._drift.push(fast.evidence.max(axis=1))
        if self._drift.ageing:
            events = [event for event in events if self._is_news(event)]
        events.sort(key=lambda event: event.start_s)
        return Findings(distances, levels_db, fast, slow, events, self._drift.ageing)

    def _is_news(self, event: Event) -> bool:
        """An old calibration finds lasting deviations again and again: one in an hour is told."""
        if event.scale_s <= SHORT_SCALE_S:
            return True
        if event.start_s < self._lasting_told_s + LASTING_EVERY_S:
            return False
        self._lasting_told_s = event.end_s
        return True

    def _was_told(self, late: Event) -> bool:
        """Whether a faster scale has found something in the same place already."""
        self._told = [e for e in self._told if e.end_s > late.start_s - REMEMBERED_S]
        return any(
            e.start_s < late.end_s
            and late.start_s < e.end_s
            and e.low_hz < late.high_hz
            and late.low_hz < e.high_hz
            for e in self._told
        )


def rules_for(on_delay_s: float, off_delay_s: float, column_s: float) -> EventRules:
    """Delays in columns of the map."""
    return EventRules(
        on_delay_columns=round(on_delay_s / column_s), join_columns=round(off_delay_s / column_s)
    )


def grid_nearest(
    bank: Bank, embeddings: Int8Array, scale: np.float32
) -> tuple[FloatArray, NDArray[np.int32]]:
    """Distance of each cell to its nearest bank row, and which row that is.

    [n, rows, dimension] -> [n, rows] each.
    """
    flat = np.ascontiguousarray(embeddings.reshape(-1, embeddings.shape[-1]))
    squared, rows = bank.nearest(flat)
    shape = embeddings.shape[:2]
    return (np.sqrt(squared.astype(np.float32)) * scale).reshape(shape), rows.reshape(shape)
