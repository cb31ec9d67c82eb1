"""A fixed ring of samples between the thread that captures and the loop that scores."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]


class SampleRing:
    """One writer, one reader, a fixed number of samples.

    A writer that can wait (a file, a pipe) asks `wait_for_room` first. One that can't (a
    microphone) just writes: what doesn't fit is counted, and unread sound is never written over.

    Args:
        capacity: samples that fit.
    """

    def __init__(self, capacity: int) -> None:
        self._buffer = np.zeros(capacity, np.float32)
        self._changed = threading.Condition()
        self._written = self._read = 0  # frame counters since the start of the stream
        self._closed = False
        self.dropped = 0

    @property
    def waiting(self) -> int:
        """Samples written and not read yet."""
        return self._written - self._read

    def write(self, samples: FloatArray) -> int:
        """Append what fits, count the rest as dropped; returns how many samples went in."""
        with self._changed:
            room = 0 if self._closed else self._room
            taken = samples[:room]
            self._put(taken)
            self.dropped += len(samples) - len(taken)
            self._changed.notify_all()
            return len(taken)

    def wait_for_room(self, *, timeout_s: float) -> int:
        """How many samples fit, waiting at most `timeout_s` for at least one."""
        with self._changed:
            self._changed.wait_for(lambda: self._room or self._closed, timeout_s)
            return 0 if self._closed else self._room

    def read(self, *, at_most: int, timeout_s: float) -> FloatArray | None:
        """Up to `at_most` samples; an empty array when none came in time; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.waiting or self._closed, timeout_s)
            if not self.waiting:
                return None if self._closed else np.empty(0, np.float32)
            count = min(at_most, self.waiting)
            indices = np.arange(self._read, self._read + count) % len(self._buffer)
            out: FloatArray = self._buffer[indices]
            self._read += count
            self._changed.notify_all()
            return out

    def close(self) -> None:
        """No more sound will come, or no more is wanted; either side may say so."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def _room(self) -> int:
        return len(self._buffer) - self.waiting

    def _put(self, samples: FloatArray) -> None:
        start = self._written % len(self._buffer)
        head = min(len(samples), len(self._buffer) - start)
        self._buffer[start : start + head] = samples[:head]
        self._buffer[: len(samples) - head] = samples[head:]
        self._written += len(samples)
