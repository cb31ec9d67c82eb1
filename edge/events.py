"""From evidence to events: connected cells above a threshold become one box in time and frequency.

Hysteresis: a box holds every cell connected to it above the release level, and it is an event only
if one of them reached the alarm level. Cells are connected when no more than `join_rows` rows
and `join_columns` columns lie between them; so a knock every 0.2 s is one event, not twenty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.bands import AUDIBLE_DB, loud_bands
from edge.words import summary, word_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge.evidence import Weighed
    from edge.tail import Tail

    FloatArray = NDArray[np.float32]


class EventRules(msgspec.Struct, frozen=True, kw_only=True):
    """How cells become events."""

    on_delay_columns: int = 0  # an event lasts longer than this, or it is none
    join_columns: int = 4  # the off-delay: quiet columns (80 ms each) that don't end an event
    join_rows: int = 1  # quiet rows that don't split one
    box_share: float = 0.5  # of the peak: weaker cells, the halo of a loud event, are left out
    max_columns: int = 125  # 10 s: what lasts longer is reported piece by piece, not at its end


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something that an operator is told about. Times are seconds from the start of the stream."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    peak_s: float
    peak_hz: float
    score: float  # largest evidence in the box; 1 is the alarm level
    scale_s: float  # averaging time of the scale that found it
    excess_db: float  # level of its loudest band above what is normal there
    contrast_db: float  # level at its peak above the seconds around it
    nearest_recording: str  # of the calibration sound, what is most like its peak
    nearest_s: float  # and where in that recording
    false_alarms_per_day: float  # how often normal sound would reach this score

    @property
    def sounds_like(self) -> str:
        """One word for a person."""
        return word_for(round(self.end_s - self.start_s, 3), self.low_hz, self.high_hz)

    def summary(self, learnt_s: float) -> str:
        """One line for a person, given how much normal sound was learnt."""
        return summary(
            duration_s=round(self.end_s - self.start_s, 3),
            low_hz=self.low_hz,
            high_hz=self.high_hz,
            excess_db=self.excess_db,
            false_alarms_per_day=self.false_alarms_per_day,
            learnt_s=learnt_s,
        )


@dataclass
class _Region:
    """Connected cells that may still grow: the largest evidence by column and by row."""

    start: int  # first column
    last: int
    by_column: dict[int, float]
    by_row: dict[int, float]
    seen: dict[int, int]  # row -> last column in which it was active
    peak: float
    peak_column: int
    peak_row: int
    scale_columns: int  # of the scale that found the peak
    excess_db: float  # at the peak, as what follows
    contrast_db: float
    nearest: int  # row of the bank

    def absorb(self, other: _Region) -> None:
        self.start, self.last = min(self.start, other.start), max(self.last, other.last)
        if other.peak > self.peak:
            self.peak = other.peak
            self.peak_column, self.peak_row = other.peak_column, other.peak_row
            self.scale_columns, self.nearest = other.scale_columns, other.nearest
            self.excess_db, self.contrast_db = other.excess_db, other.contrast_db
        for mine, theirs in ((self.by_column, other.by_column), (self.by_row, other.by_row)):
            for key, value in theirs.items():
                mine[key] = max(value, mine.get(key, value))
        for row, column in other.seen.items():
            self.seen[row] = max(column, self.seen.get(row, column))

    def touches(self, other: _Region, oldest_column: int, join_rows: int) -> bool:
        reach = join_rows + 1
        low, high = min(other.by_row) - reach, max(other.by_row) + reach
        return any(
            column >= oldest_column and low <= row <= high for row, column in self.seen.items()
        )

    def extent(self, level: float) -> tuple[int, int, int, int]:
        """First and last column, first and last row, with evidence of at least `level`."""
        columns = [column for column, value in self.by_column.items() if value >= level]
        rows = [row for row, value in self.by_row.items() if value >= level]
        return min(columns), max(columns), min(rows), max(rows)


def _runs(evidence: list[float], release: float) -> list[dict[int, float]]:
    """Neighbouring rows of a column that reach the release level, with their evidence."""
    runs: list[dict[int, float]] = []
    before = -2
    for row, value in enumerate(evidence):
        if value >= release:
            if row > before + 1:
                runs.append({})
            runs[-1][row] = value
            before = row
    return runs


@dataclass(frozen=True)
class Grid:
    """Where the cells of a map lie."""

    column_s: float  # duration of a column
    row_edges_hz: NDArray[np.float64]  # [rows + 1]
    band_edges_hz: NDArray[np.float64]  # of the finer bands of `Weighed.bands_db`, [bands + 1]


class EventFinder:
    """A stream of evidence becomes a stream of closed events.

    Args:
        alarm: evidence at which a region is an event.
        tail: how often normal sound reaches which evidence.
        release: evidence down to which a region reaches.
        grid: where columns, rows and bands lie.
        rules: how cells are joined.
        origin: names the recording, and the second in it, that a row of the bank comes from.
    """

    def __init__(
        self,
        *,
        alarm: float,
        tail: Tail,
        release: float,
        grid: Grid,
        rules: EventRules | None = None,
        origin: Callable[[int], tuple[str, float]] = lambda _: ("", 0.0),
    ) -> None:
        self._origin = origin
        self._alarm, self._tail = alarm, tail
        self._release = float(np.float32(release))  # as evidence can be
        self._edges_hz, self._column_s = grid.row_edges_hz, grid.column_s
        self._band_edges_hz = grid.band_edges_hz
        self._bands: dict[int, FloatArray] = {}  # of the columns that an open region may hold
        self._rules = rules or EventRules()
        self._open: list[_Region] = []
        self._column = 0

    def push(self, weighed: Weighed, *, last: bool = False) -> list[Event]:
        """Columns in; the events that closed, oldest first: all where the sound ends with them."""
        found = []
        active = (weighed.evidence >= self._release).any(axis=1)
        for index, is_active in enumerate(active.tolist()):
            if is_active or self._open:
                found += self._step(weighed, index)
            else:
                self._column += 1
        return found + (self.finish() if last else [])

    def finish(self) -> list[Event]:
        """The sound ends, and so does every open event."""
        closing, self._open = self._open, []
        return self._events(closing)

    def _step(self, weighed: Weighed, index: int) -> list[Event]:
        oldest = self._column - self._rules.join_columns - 1
        for fresh in self._regions(weighed, index):
            touching = [r for r in self._open if r.touches(fresh, oldest, self._rules.join_rows)]
            for region in touching:
                fresh.absorb(region)
            self._open = [r for r in self._open if r not in touching]
            self._open.append(fresh)
        self._bands[self._column] = weighed.bands_db[index]
        self._column += 1
        closing = [r for r in self._open if self._is_over(r)]
        if closing:
            self._open = [r for r in self._open if not self._is_over(r)]
        events = self._events(closing)
        oldest = min((r.start for r in self._open), default=self._column)
        self._bands = {c: bands for c, bands in self._bands.items() if c >= oldest}
        return events

    def _is_over(self, region: _Region) -> bool:
        quiet = self._column - 1 - region.last > self._rules.join_columns
        return quiet or self._column - region.start >= self._rules.max_columns

    def _regions(self, weighed: Weighed, index: int) -> list[_Region]:
        """Runs of active rows in one column."""
        regions, column = [], self._column
        for rows in _runs(weighed.evidence[index].tolist(), self._release):
            peak_row = max(rows, key=lambda row: rows[row])
            regions.append(
                _Region(
                    start=column,
                    last=column,
                    by_column={column: rows[peak_row]},
                    by_row=rows,
                    seen=dict.fromkeys(rows, column),
                    peak=rows[peak_row],
                    peak_column=column,
                    peak_row=peak_row,
                    scale_columns=int(weighed.scale_columns[index, peak_row]),
                    excess_db=float(weighed.excess_db[index, peak_row]),
                    contrast_db=float(weighed.contrast_db[index, peak_row]),
                    nearest=int(weighed.nearest[index, peak_row]),
                )
            )
        return regions

    def _events(self, closing: list[_Region]) -> list[Event]:
        shortest = self._rules.on_delay_columns
        loud = [
            self._event(region)
            for region in closing
            if region.peak >= self._alarm and region.last - region.start >= shortest
        ]
        return sorted(loud, key=lambda event: event.start_s)

    def _event(self, region: _Region) -> Event:
        edges_hz, column_s = self._edges_hz, self._column_s
        level = max(self._release, self._rules.box_share * region.peak)
        first, last, low_row, high_row = region.extent(level)
        excess_db = self._excess_db(first, last)
        bands = len(excess_db) // (len(edges_hz) - 1)
        rows = (low_row * bands, (high_row + 1) * bands)
        low, high, loudest = loud_bands(excess_db, rows, margin=bands)
        low_hz, high_hz = float(self._band_edges_hz[low]), float(self._band_edges_hz[high])
        nearest_recording, nearest_s = self._origin(region.nearest)
        peak_hz = float(self._band_edges_hz[loudest : loudest + 2].mean())
        if excess_db[loudest] < AUDIBLE_DB:
            peak_hz = float(edges_hz[region.peak_row : region.peak_row + 2].mean())
        return Event(
            start_s=round(first * column_s, 3),
            end_s=round((last + 1) * column_s, 3),
            low_hz=round(low_hz, 1),
            high_hz=round(high_hz, 1),
            peak_s=round((region.peak_column + 0.5) * column_s, 3),
            peak_hz=round(peak_hz, 1),
            score=round(region.peak / self._alarm, 3),
            scale_s=round(region.scale_columns * column_s, 3),
            excess_db=round(max(float(excess_db[loudest]), region.excess_db), 1),
            contrast_db=round(region.contrast_db, 1),
            nearest_recording=nearest_recording,
            nearest_s=nearest_s,
            false_alarms_per_day=float(f"{self._tail.per_day(region.peak):.3g}"),
        )

    def _excess_db(self, first: int, last: int) -> FloatArray:
        """Mean level of each band above normal, from the first to the last column."""
        columns = [self._bands[c] for c in range(first, last + 1) if c in self._bands]
        return np.asarray(np.mean(columns, axis=0), np.float32)
