"""Sound in, events out: the whole path of the node behind one pair of calls.

The same object scores a recording and a live stream, so both give the same map for the same sound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.bundle import embedding_scale
from edge.embedding import Embedder, column_s, row_edges_hz, rows_below
from edge.errors import RecordingError
from edge.events import Event, EventFinder, EventRules
from edge.evidence import ALARM, Evidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.nearest import Bank

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]


@dataclass(frozen=True)
class Findings:
    """What one call added. Evidence follows distances by half the longest averaging time."""

    distances: FloatArray  # the anomaly map, [columns, rows]
    evidence: FloatArray  # [columns, rows]
    events: list[Event]


class Detector:
    """Scores a stream of mono samples.

    Args:
        bundle: the verified bundle.
        rate_hz: rate of the samples.
        rules: how cells become events.

    Raises:
        RecordingError: the rate is so low that no row of the map can be scored.
    """

    def __init__(self, bundle: Bundle, *, rate_hz: int, rules: EventRules | None = None) -> None:
        manifest = bundle.manifest
        info, front_end, limits = manifest.backbone, manifest.front_end, manifest.thresholds
        self.limit_hz = min(rate_hz / 2, manifest.limit_hz)
        self.rows = min(manifest.rows, rows_below(self.limit_hz, front_end, info))
        if self.rows == 0:
            raise RecordingError(f"sound sampled at {rate_hz} Hz holds none of the map's rows")
        self.column_s = column_s(front_end, info)
        self.row_edges_hz = row_edges_hz(front_end, info)[: self.rows + 1]
        self._bank = bundle.bank
        self._scale = embedding_scale(manifest)
        self._embedder = Embedder(
            front_end, bundle.backbone, rate_hz=rate_hz, limit_hz=self.limit_hz
        )
        self._evidence = Evidence(limits, self.rows)
        self._finder = EventFinder(
            alarm=ALARM,
            release=limits.release,
            row_edges_hz=self.row_edges_hz,
            column_s=self.column_s,
            rules=rules,
        )

    def push(self, samples: FloatArray) -> Findings:
        """Score samples, mono float32 with full scale 1.0."""
        distances = self._distances(self._embedder.push(samples))
        evidence = self._evidence.push(distances)
        return Findings(distances, evidence, self._finder.push(evidence))

    def finish(self) -> Findings:
        """The sound has ended: score what is left and close what is open."""
        distances = self._distances(self._embedder.finish())
        evidence = np.concatenate([self._evidence.push(distances), self._evidence.finish()])
        events = self._finder.push(evidence) + self._finder.finish()
        return Findings(distances, evidence, sorted(events, key=lambda event: event.start_s))

    def _distances(self, embeddings: Int8Array) -> FloatArray:
        return grid_distances(self._bank, embeddings[:, : self.rows], self._scale)


def grid_distances(bank: Bank, embeddings: Int8Array, scale: np.float32) -> FloatArray:
    """Distance of each cell to its nearest bank row. [n, rows, dimension] -> [n, rows]."""
    flat = np.ascontiguousarray(embeddings.reshape(-1, embeddings.shape[-1]))
    squared = bank.squared_distances(flat)
    return (np.sqrt(squared.astype(np.float32)) * scale).reshape(embeddings.shape[:2])
