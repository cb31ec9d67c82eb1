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

    def groups(self) -> list[list[Scale]]:
        """The fast scales, and the slow ones where there are any."""
        return [self.fast(), *([self.slow()] if self.slow() else [])]


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
    """A stream of distances and levels becomes streams of evidence: 1 is the alarm level.

    Args:
        thresholds: what is normal.
        groups: scales that count together; each group becomes a stream of its own.
        rows: how many rows, from the lowest, the sound has.
    """

    def __init__(
        self, thresholds: Thresholds, groups: Sequence[Sequence[Scale]], rows: int
    ) -> None:
        self._local = ScaleStream(thresholds.local, rows, keeps_excess=True)
        self._calm = Calm(thresholds.local, rows)
        # Without a scale that needs them, distances are left out: only the contrast is wanted.
        self._by_both = any(scale.against == "recent" for group in groups for scale in group)
        self._departure = (
            departure(thresholds.local, rows) if self._by_both else Departure(RECENT_COLUMNS, rows)
        )
        self._groups = [_Group(thresholds, scales, rows) for scales in groups]

    def push(
        self,
        distances: FloatArray,
        levels_db: FloatArray,
        nearest: NDArray[np.int32] | None = None,
        bands_db: FloatArray | None = None,
    ) -> list[Weighed]:
        """[n, rows] distances and levels in; of each group evidence out.

        It comes half the group's longest window later. `nearest` and `bands_db` only travel along.
        """
        if nearest is None:
            nearest = np.zeros(distances.shape, np.int32)
        if bands_db is None:
            bands_db = levels_db
        both = side_by_side(distances, levels_db)
        calmed = self._calm.push(both)
        limited = self._local.limited(calmed)
        self._local.push(both)
        departed = self._departure.push(both if self._by_both else levels_db)
        for group in self._groups:
            group.travel(nearest, bands_db)
            group.average(both, calmed, limited)
        return self._weighed(departed, last=False)

    def finish(self) -> list[Weighed]:
        """The evidence of the last columns, of each group."""
        self._local.finish()
        for group in self._groups:
            group.finish_averages()
        return self._weighed(self._departure.finish(), last=True)

    def _weighed(self, departed: FloatArray, *, last: bool) -> list[Weighed]:
        count = self._local.ready
        own, excess_db = self._local.take(count), self._local.take_excess(count)
        for group in self._groups:
            group.share_out(own, excess_db, last=last)
            group.depart(departed, last=last)
        return [group.take() for group in self._groups]


class _Group:
    """Scales that count together: the largest of them is the evidence."""

    def __init__(self, thresholds: Thresholds, scales: Sequence[Scale], rows: int) -> None:
        self._alarm, self._rows = np.float32(thresholds.alarm), rows
        self._alike = [s for s in scales if is_alike(s, thresholds.local)]  # need no stream
        others = [scale for scale in scales if scale not in self._alike]
        self._normal = [ScaleStream(s, rows) for s in others if s.against == "normal"]
        self._recent = [ScaleStream(s, rows) for s in others if s.against == "recent"]
        empty = np.empty((0, rows), np.float32)
        self._own = self._excess_db = self._contrast_db = self._bands_db = empty  # that wait
        self._nearest = np.empty((0, rows), np.int32)

    def travel(self, nearest: NDArray[np.int32], bands_db: FloatArray) -> None:
        """What goes along with the next columns."""
        self._nearest = np.concatenate([self._nearest, nearest])
        waiting = self._bands_db.reshape(-1, bands_db.shape[1])
        self._bands_db = np.concatenate([waiting, bands_db])

    def average(self, both: FloatArray, calmed: FloatArray, limited: FloatArray) -> None:
        """The next columns: as they are, as slow scales hear them, as other long ones do."""
        for stream in self._normal:
            if stream.scale.columns <= LOCAL_COLUMNS:
                stream.push(both)
            else:
                stream.push(calmed if stream.is_slow else limited)

    def finish_averages(self) -> None:
        """The sound has ended."""
        for stream in self._normal:
            stream.finish()

    def share_out(self, own: FloatArray, excess_db: FloatArray, *, last: bool) -> None:
        """The next deviations of the local scale."""
        self._own = np.concatenate([self._own, own])
        self._excess_db = np.concatenate([self._excess_db, excess_db])
        for stream in self._normal:
            stream.push_own(own, last=last)

    def depart(self, departed: FloatArray, *, last: bool) -> None:
        """How the next columns depart from the seconds around."""
        self._contrast_db = np.concatenate([self._contrast_db, departed[:, -self._rows :]])
        for stream in self._recent:
            stream.push(departed)
            if last:
                stream.finish()

    def take(self) -> Weighed:
        """The columns that all of it is known of."""
        streams = (*self._normal, *self._recent)
        ready = (stream.ready for stream in streams)
        count = min(len(self._own), len(self._contrast_db), *ready)
        own, self._own = self._own[:count], self._own[count:]
        evidence = np.full(own.shape, -np.inf, np.float32)
        winner = np.zeros(own.shape, np.int16)
        found = [(scale, own) for scale in self._alike]
        found += [(stream.scale, stream.take(count, own)) for stream in streams]
        for scale, deviations in found:
            units = deviations / np.float32(scale.unit)
            winner[units > evidence] = scale.columns
            np.maximum(evidence, units, out=evidence)
        evidence /= self._alarm
        excess_db, self._excess_db = self._excess_db[:count], self._excess_db[count:]
        contrast_db, self._contrast_db = self._contrast_db[:count], self._contrast_db[count:]
        nearest, self._nearest = self._nearest[:count], self._nearest[count:]
        bands_db, self._bands_db = self._bands_db[:count], self._bands_db[count:]
        return Weighed(evidence, winner, excess_db, contrast_db, nearest, bands_db)


def is_alike(scale: Scale, local: Scale) -> bool:
    """Whether a scale makes the same deviations as the local one, of the same columns."""
    heard_as_it_is = scale.against == "normal" and scale.columns <= LOCAL_COLUMNS
    return heard_as_it_is and msgspec.structs.replace(scale, unit=local.unit) == local
