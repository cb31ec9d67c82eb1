"""The last seconds of an input, so that a clip can begin before its event.

Kept as int16, in a ring whose size is fixed once the first block has told the rate: 48 kHz x 40 s
x 2 bytes = 3.8 MB. Only an input that comes back at a higher rate makes it grow, to so many seconds
of that. Sound that was 16 bits at full scale 32,768, as microphones give it, comes out bit for bit.
"""

from __future__ import annotations

from collections import deque
from math import ceil
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.capture.sound import Block

    FloatArray = NDArray[np.float32]
    Int16Array = NDArray[np.int16]

FULL_SCALE = 32_768
SAME_PLACE_S = 0.005  # a block that lies nearer to where the last one ends needs no mark of its own
MOST_MARKS = 1_024
_HAIR = 1e-6  # of a sample, against rounding


class Piece(NamedTuple):
    """Sound without a hole."""

    samples: Int16Array  # [n], mono
    rate_hz: int
    at_s: float  # of its first sample, in the input's stream

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + len(self.samples) / self.rate_hz


class _Mark(NamedTuple):
    """From this frame on, time is known."""

    frame: int
    at_s: float
    rate_hz: int
    cut: bool

    def time_s(self, frame: int) -> float:
        return self.at_s + (frame - self.frame) / self.rate_hz

    def frame_at(self, time_s: float) -> int:
        """The first frame that isn't earlier."""
        return self.frame + ceil((time_s - self.at_s) * self.rate_hz - _HAIR)


class RecentSound:
    """A ring of samples, each with its place in time. Used from one thread.

    Args:
        length_s: how much sound is kept.
    """

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._buffer: Int16Array = np.empty(0, np.int16)
        self._written = self._oldest = 0  # frames since the start of the stream
        self._marks: deque[_Mark] = deque()
        self._end_s: float | None = None

    @property
    def end_s(self) -> float | None:
        """When the last sample is over, in the input's stream; None before the first."""
        return self._end_s

    @property
    def bytes(self) -> int:
        """Memory that the ring takes."""
        return self._buffer.nbytes

    def write(self, block: Block) -> None:
        """Append sound; the oldest is forgotten."""
        if not len(block.samples):
            return
        self._make_room(ceil(self._length_s * block.rate_hz))
        self._mark(block)
        self._written += len(block.samples)
        self._oldest = max(self._oldest, self._written - len(self._buffer))
        self._put(_as_int16(block.samples[-len(self._buffer) :]))
        self._end_s = block.end_s
        self._forget()

    def cut_out(self, start_s: float, end_s: float) -> list[Piece]:
        """The sound from `start_s` on and before `end_s`, as far as it is still here.

        A hole in time, another device and another rate each begin a piece of their own.
        """
        pieces = []
        for marks, until in self._stretches():
            spans = [_span(m, last, start_s, end_s) for m, last in _with_ends(marks, until)]
            found = [(mark, span) for mark, span in zip(marks, spans, strict=True) if len(span)]
            if found:
                (first_mark, first), (_, last) = found[0], found[-1]
                samples = self._copy(first.start, last.stop)
                pieces.append(Piece(samples, first_mark.rate_hz, first_mark.time_s(first.start)))
        return pieces

    def _make_room(self, capacity: int) -> None:
        if capacity <= len(self._buffer):
            return
        held = self._copy(self._oldest, self._written)
        self._buffer = np.zeros(capacity, np.int16)
        self._put(held)

    def _mark(self, block: Block) -> None:
        last = self._marks[-1] if self._marks else None
        cut = block.cut or last is None or last.rate_hz != block.rate_hz
        away_s = abs(last.time_s(self._written) - block.at_s) if last else 0.0
        if cut or away_s > SAME_PLACE_S:
            self._marks.append(_Mark(self._written, block.at_s, block.rate_hz, cut))

    def _put(self, samples: Int16Array) -> None:
        """Place the last samples of all that were written."""
        if not len(samples):
            return
        start = (self._written - len(samples)) % len(self._buffer)
        head = min(len(samples), len(self._buffer) - start)
        self._buffer[start : start + head] = samples[:head]
        self._buffer[: len(samples) - head] = samples[head:]

    def _copy(self, first: int, until: int) -> Int16Array:
        """The samples of some frames, which must still be here."""
        if first == until:
            return np.empty(0, np.int16)
        start = first % len(self._buffer)
        head = self._buffer[start : start + until - first]
        return np.concatenate([head, self._buffer[: until - first - len(head)]])

    def _forget(self) -> None:
        """Marks of sound that is gone; of a stream cut to crumbs, the oldest of them."""
        marks = self._marks
        while len(marks) > 1 and (marks[1].frame <= self._oldest or len(marks) > MOST_MARKS):
            marks.popleft()

    def _stretches(self) -> Iterator[tuple[list[_Mark], int]]:
        """Marks of sound without a hole, and the frame where it ends; oldest first."""
        marks: list[_Mark] = []
        for mark in self._marks:
            if mark.cut and marks:
                yield self._from_oldest(marks), mark.frame
                marks = []
            marks.append(mark)
        if marks:
            yield self._from_oldest(marks), self._written

    def _from_oldest(self, marks: list[_Mark]) -> list[_Mark]:
        """The same, the first of them moved to where its sound still is."""
        first, oldest = marks[0], self._oldest
        if first.frame < oldest:
            moved = first._replace(frame=oldest, at_s=first.time_s(oldest))
            return [moved, *marks[1:]]
        return marks


def _with_ends(marks: list[_Mark], until: int) -> Iterator[tuple[_Mark, int]]:
    """Each mark with the frame where the next one begins."""
    yield from zip(marks, [*(m.frame for m in marks[1:]), until], strict=True)


def _span(mark: _Mark, until: int, start_s: float, end_s: float) -> range:
    """The frames behind a mark that lie in a span of time."""
    return range(max(mark.frame, mark.frame_at(start_s)), min(until, mark.frame_at(end_s)))


def _as_int16(samples: FloatArray) -> Int16Array:
    scaled = np.rint(np.nan_to_num(np.clip(samples, -1.0, 1.0)) * FULL_SCALE)
    return np.asarray(np.minimum(scaled, FULL_SCALE - 1), np.int16)
