"""From distances to evidence: what a row's distance means, in units of what is normal for it.

A distance alone says little: low rows and high rows differ in how far normal sound strays from the
bank. So each row's distance is averaged over time, on a short and on a long scale, and standardised
by what the same row and scale did on normal sound that was kept out of the bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


ALARM = 1.0  # evidence at which an event exists
OWN_DEVIATION = 1.0  # spreads


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What held-out normal sound does at one averaging time."""

    columns: int  # odd: the average is centred on its column
    row_centre: list[float]  # median of the averaged distance, by row
    row_spread: list[float]  # one standard deviation's worth of its upper half, by row
    held_out_max: float  # the largest deviation in it, in spreads
    alarm: float  # the deviation at which an event exists, in spreads


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where an event begins and ends."""

    scales: list[Scale]  # from the shortest; that one also tells where a slow deviation lies
    release: float  # evidence down to which an event's box reaches; an event exists at 1
    held_out_s: float  # how much normal sound this rests on


class MovingAverage:
    """Centred average over an odd number of columns, streaming; shorter at both ends.

    Args:
        columns: how many columns are averaged.

    Raises:
        ValueError: an even number.
    """

    def __init__(self, columns: int) -> None:
        if columns < 1 or columns % 2 == 0:
            raise ValueError(f"the number of columns to average is odd, not {columns}")
        self._reach = columns // 2
        self._kept: FloatArray | None = None  # columns still needed to the left of the next output
        self._lead = 0  # how many of them lie before the next output

    def push(self, columns: FloatArray) -> FloatArray:
        """[n, rows] in, the averages that are complete by now out, in order."""
        self._keep(columns)
        assert self._kept is not None  # noqa: S101
        return self._average(len(self._kept) - self._reach - self._lead)

    def finish(self) -> FloatArray:
        """The last averages, over the columns that there are."""
        if self._kept is None:
            return np.empty((0, 0), np.float32)
        return self._average(len(self._kept) - self._lead)

    def _keep(self, columns: FloatArray) -> None:
        self._kept = columns if self._kept is None else np.concatenate([self._kept, columns])

    def _average(self, count: int) -> FloatArray:
        assert self._kept is not None  # noqa: S101
        out = np.empty((max(0, count), self._kept.shape[1]), np.float32)
        for i in range(len(out)):
            centre = self._lead + i
            window = self._kept[max(0, centre - self._reach) : centre + self._reach + 1]
            out[i] = window.mean(axis=0)
        drop = max(0, self._lead + len(out) - self._reach)
        self._kept = self._kept[drop:]
        self._lead += len(out) - drop
        return out


class Evidence:
    """A stream of distances becomes a stream of evidence: 1 is the alarm level.

    The largest of the scales counts. A long average smears a short event over its whole length, so
    it counts only in cells that deviate themselves, by `OWN_DEVIATION` at the shortest scale.
    """

    def __init__(self, thresholds: Thresholds, rows: int) -> None:
        self._scales = [_ScaleStream(scale, rows) for scale in thresholds.scales]
        self._rows = rows

    def push(self, distances: FloatArray) -> FloatArray:
        """[n, rows] distances in, [m, rows] evidence out: half the longest scale later."""
        for scale in self._scales:
            scale.push(distances)
        return self._take()

    def finish(self) -> FloatArray:
        """The evidence of the last columns."""
        for scale in self._scales:
            scale.finish()
        return self._take()

    def _take(self) -> FloatArray:
        count = min(len(scale.pending) for scale in self._scales)
        if count == 0:
            return np.empty((0, self._rows), np.float32)
        shortest, *longer = [scale.take(count) for scale in self._scales]
        evidence = shortest / np.float32(self._scales[0].alarm)
        deviates = shortest >= OWN_DEVIATION
        for scale, deviation in zip(self._scales[1:], longer, strict=True):
            slow = np.where(deviates, deviation / np.float32(scale.alarm), -np.inf)
            np.maximum(evidence, slow.astype(np.float32), out=evidence)
        return evidence


class _ScaleStream:
    """Deviations at one scale, in spreads, kept until the longest scale has caught up."""

    def __init__(self, scale: Scale, rows: int) -> None:
        self.alarm = scale.alarm
        self.pending = np.empty((0, rows), np.float32)
        self._average = MovingAverage(scale.columns)
        self._centre = np.asarray(scale.row_centre[:rows], np.float32)
        self._spread = np.asarray(scale.row_spread[:rows], np.float32)

    def push(self, distances: FloatArray) -> None:
        self._standardise(self._average.push(distances))

    def finish(self) -> None:
        self._standardise(self._average.finish())

    def take(self, count: int) -> FloatArray:
        taken, self.pending = self.pending[:count], self.pending[count:]
        return taken

    def _standardise(self, averaged: FloatArray) -> None:
        if averaged.size:
            deviation = (averaged - self._centre) / self._spread
            self.pending = np.concatenate([self.pending, deviation])


def deviations(scale: Scale, distances: FloatArray) -> FloatArray:
    """Deviations of a whole stretch at one scale, [columns, rows], in spreads."""
    stream = _ScaleStream(scale, distances.shape[1])
    stream.push(distances)
    stream.finish()
    return stream.pending
