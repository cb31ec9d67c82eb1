"""A fixed ring of samples between the thread that captures and the loop that scores."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge.capture.sound import Block

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


class _Mark(NamedTuple):
    """Where a block begins."""

    frame: int
    at_s: float
    rate_hz: int
    cut: bool


class SoundRing:
    """One writer, one reader, a fixed number of samples, each with its place in time.

    A writer that can wait (a file, a pipe) asks `wait_for_room` first. One that can't (a
    microphone) just writes: what doesn't fit is counted and lost, unread sound is never written
    over, and what comes next is marked as cut. A reader that is too slow loses one long piece
    rather than many short ones: once full, the ring takes nothing until half of it is free.

    Args:
        capacity: samples that fit.
    """

    def __init__(self, capacity: int) -> None:
        self._buffer = np.zeros(capacity, np.float32)
        self._changed = threading.Condition()
        self._written = self._read = 0  # frame counters since the start of the stream
        self._marks: deque[_Mark] = deque()
        self._closed = False
        self._skipping = False
        self._enough = 0  # room that a writer waits for, if one does
        self._wanted_s = 0.0  # sound that a reader waits for
        self.dropped_s = 0.0

    @property
    def waiting(self) -> int:
        """Samples written and not read yet."""
        return self._written - self._read

    def write(self, block: Block) -> bool:
        """Append a block if it fits; returns whether it did."""
        with self._changed:
            if self._closed:
                return False
            needed = len(self._buffer) // 2 if self._skipping else 0
            if self._room < max(needed, len(block.samples)):
                self._skipping = True
                self.dropped_s += block.duration_s
                return False
            cut = block.cut or self._skipping
            self._skipping = False
            self._marks.append(_Mark(self._written, block.at_s, block.rate_hz, cut))
            self._put(block.samples)
            if self._is_worth_reading():
                self._changed.notify_all()
            return True

    def wait_for_room(self, *, timeout_s: float) -> int:
        """How many samples fit, waiting at most `timeout_s` until that is a good part of the ring.

        A writer that is woken for each block would make the threads take turns at every one.
        """
        with self._changed:
            enough = self._enough = max(1, len(self._buffer) // 4)
            self._changed.wait_for(lambda: self._room >= enough or self._closed, timeout_s)
            self._enough = 0
            return 0 if self._closed else self._room

    def read(self, *, at_most_s: float, timeout_s: float) -> Block | None:
        """The next sound up to the next cut, at most so long; None when none came in time.

        Waits until so much is there, cuts or not, or the time is up: waking costs more than
        reading.
        """
        with self._changed:
            self._wanted_s = at_most_s
            self._changed.wait_for(lambda: self._is_worth_reading() or self._closed, timeout_s)
            if not self.waiting:
                return None
            mark, cut, until = self._stretch()
            count = min(round(at_most_s * mark.rate_hz) or 1, until - self._read)
            at_s = mark.at_s + (self._read - mark.frame) / mark.rate_hz
            samples = self._get(count)
            self._read += count
            if self._enough and self._room >= self._enough:
                self._changed.notify_all()
            return Block(samples, mark.rate_hz, at_s, cut)

    @property
    def ended(self) -> bool:
        """Whether nothing is left, and nothing will come."""
        with self._changed:
            return self._closed and not self.waiting

    def close(self) -> None:
        """No more sound will come, or no more is wanted; either side may say so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _stretch(self) -> tuple[_Mark, bool, int]:
        """The mark that counts at the reader's place, whether a cut is there, and where next."""
        while len(self._marks) > 1 and self._marks[1].frame <= self._read:
            self._marks.popleft()
        mark = self._marks[0]
        cuts = (m.frame for m in self._marks if m.cut and m.frame > self._read)
        return mark, mark.cut and mark.frame == self._read, next(cuts, self._written)

    def _is_worth_reading(self) -> bool:
        if not self.waiting:
            return False
        wanted = round(self._wanted_s * self._marks[-1].rate_hz)
        most = len(self._buffer) - len(self._buffer) // 4  # or a writer would wait for the reader
        return self.waiting >= min(wanted, most)

    @property
    def _room(self) -> int:
        return len(self._buffer) - self.waiting

    def _get(self, count: int) -> FloatArray:
        start = self._read % len(self._buffer)
        head = self._buffer[start : start + count]
        return np.concatenate([head, self._buffer[: count - len(head)]])

    def _put(self, samples: FloatArray) -> None:
        start = self._written % len(self._buffer)
        head = min(len(samples), len(self._buffer) - start)
        self._buffer[start : start + head] = samples[:head]
        self._buffer[: len(samples) - head] = samples[head:]
        self._written += len(samples)
