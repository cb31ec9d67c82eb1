"""From distances and levels to evidence: what a cell means, in units of what is normal for it.

Two streams stand side by side: each cell's distance to the bank, and its level in dB. Both are
averaged over time on several scales and standardised by what the same row and scale did on normal
sound that was kept out of the bank; their deviations are added, as in Stouffer's method, and the
largest of the scales counts.

Short scales look at how a cell departs from the seconds around it (a burst, a knock), long scales
at how it differs from all normal sound (a shift that stays); the longest take the median, which no
short event moves. A long average smears; so each cell gets only the share that it carries itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from edge.moving import Departure
from edge.scales import LOCAL_COLUMNS, SLOW_COLUMNS, Calm, Scale, ScaleStream, side_by_side
from edge.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

ALARM = 1.0  # evidence at which an event exists
RECENT_COLUMNS = 63  # 5 s: what a short event departs from


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an event begins and ends, and what that promises."""

    local: Scale
    scales: list[Scale]
    alarm: float  # the largest of the scales at which an event exists, in their units
    release: float  # evidence down to which an event's box reaches; an event exists at 1
    false_alarms_per_day: float  # what was asked for
    tail: Tail  # how often normal sound reaches which evidence
    held_out_s: float  # how much normal sound this rests on

    def fast(self) -> list[Scale]:
        """The scales that an alarm can wait for."""
        return [scale for scale in self.scales if scale.columns <= SLOW_COLUMNS]

    def slow(self) -> list[Scale]:
        """The scales of ten seconds and more."""
        return [scale for scale in self.scales if scale.columns > SLOW_COLUMNS]


class Weighed(NamedTuple):
    """Columns of evidence with what stands behind them; [n, rows] each."""

    evidence: FloatArray
    scale_columns: NDArray[np.int16]  # the averaging time of the scale that counted
    excess_db: FloatArray  # level above what is normal
    contrast_db: FloatArray  # level above the seconds around
    nearest: NDArray[np.int32]  # the row of the bank that is most alike
    bands_db: FloatArray  # [n, bands]: level of each mel band above what is normal

    @classmethod
    def join(cls, parts: Sequence[Weighed]) -> Weighed:
        """Parts of one stream, put together."""
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def departure(local: Scale, rows: int) -> Departure:
    """How distances and levels, side by side, depart from the seconds around."""
    levels_db = np.full(rows, -np.inf, np.float32)  # have no floor
    floor = np.asarray(local.distance.centre[:rows], np.float32)
    return Departure(RECENT_COLUMNS, 2 * rows, np.concatenate([floor, levels_db]))


class Evidence:
    """A stream of distances and levels becomes a stream of evidence: 1 is the alarm level.

    Args:
        thresholds: what is normal.
        scales: those of them that count here.
        rows: how many rows, from the lowest, the sound has.
    """

    def __init__(self, thresholds: Thresholds, scales: Sequence[Scale], rows: int) -> None:
        self._alarm = np.float32(thresholds.alarm)
        self._local = ScaleStream(thresholds.local, rows, keeps_excess=True)
        self._calm = Calm(thresholds.local, rows)
        self._own = np.empty((0, rows), np.float32)  # local deviations that wait
        self._normal = [ScaleStream(s, rows) for s in scales if s.against == "normal"]
        self._recent = [ScaleStream(s, rows) for s in scales if s.against == "recent"]
        self._rows = rows
        # Without a scale that needs them, distances are left out: only the contrast is wanted.
        self._departure = (
            departure(thresholds.local, rows) if self._recent else Departure(RECENT_COLUMNS, rows)
        )
        self._contrast = np.empty((0, rows), np.float32)
        self._nearest = np.empty((0, rows), np.int32)
        self._bands = np.empty((0, rows), np.float32)

    def push(
        self,
        distances: FloatArray,
        levels_db: FloatArray,
        nearest: NDArray[np.int32] | None = None,
        bands_db: FloatArray | None = None,
    ) -> Weighed:
        """[n, rows] distances and levels in, evidence out: half the longest window later.

        `nearest` and `bands_db` only travel along.
        """
        if nearest is None:
            nearest = np.zeros(distances.shape, np.int32)
        if bands_db is None:
            bands_db = levels_db
        self._nearest = np.concatenate([self._nearest, nearest])
        self._bands = np.concatenate([self._bands.reshape(-1, bands_db.shape[1]), bands_db])
        self._local.push(distances, levels_db)
        calmed = self._calm.push(distances, levels_db)
        limited = self._local.limited(*calmed)
        for stream in self._normal:
            if stream.scale.columns <= LOCAL_COLUMNS:
                stream.push(distances, levels_db)
            else:
                stream.push(*(calmed if stream.is_slow else limited))
        self._share_out(last=False)
        both = side_by_side(distances, levels_db) if self._recent else levels_db
        self._depart(self._departure.push(both))
        return self._take()

    def finish(self) -> Weighed:
        """The evidence of the last columns."""
        for stream in (self._local, *self._normal):
            stream.finish()
        self._share_out(last=True)
        self._depart(self._departure.finish())
        for stream in self._recent:
            stream.finish()
        return self._take()

    def _depart(self, both: FloatArray) -> None:
        distances, levels_db = both[:, : -self._rows], both[:, -self._rows :]
        self._contrast = np.concatenate([self._contrast, levels_db])
        for stream in self._recent:
            stream.push(distances, levels_db)

    def _share_out(self, *, last: bool) -> None:
        fresh = self._local.take(self._local.ready)
        self._own = np.concatenate([self._own, fresh])
        for stream in self._normal:
            stream.push_own(fresh, last=last)

    def _take(self) -> Weighed:
        streams = (*self._normal, *self._recent)
        ready = (stream.ready for stream in streams)
        count = min(len(self._own), len(self._contrast), *ready)
        own, self._own = self._own[:count], self._own[count:]
        contrast, self._contrast = self._contrast[:count], self._contrast[count:]
        nearest, self._nearest = self._nearest[:count], self._nearest[count:]
        bands, self._bands = self._bands[:count], self._bands[count:]
        evidence = np.full(own.shape, -np.inf, np.float32)
        winner = np.zeros(own.shape, np.int16)
        for stream in streams:
            found = stream.take(count, own) / np.float32(stream.scale.unit)
            winner[found > evidence] = stream.scale.columns
            np.maximum(evidence, found, out=evidence)
        excess = self._local.take_excess(count)
        return Weighed(evidence / self._alarm, winner, excess, contrast, nearest, bands)
