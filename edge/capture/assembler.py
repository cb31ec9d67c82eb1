"""Samples as they come become blocks of a tenth of a second, each with its place in time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from edge.capture.sound import Block
from edge.capture.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.capture.pcm import Decoded

    FloatArray = NDArray[np.float32]

BLOCK_S = 0.1
SETTLE_S = 0.25  # after a hole, before what follows it is placed in time


class Assembler:
    """One stream of a device, from its opening on; what comes first in it is a cut."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._size = round(BLOCK_S * rate_hz)
        self._timeline = Timeline()
        self._overflows: deque[int] = deque()
        self._pending = np.empty(0, np.float32)
        self._clipped_share = 0.0
        self._frames = 0  # that were handed on
        self._settled_at_s: float | None = None
        self._cut = True
        self._overflowed = False
        self.lost_s = 0.0

    def overflow(self, frame: int) -> None:
        """Sound went missing before this frame."""
        self._overflows.append(frame)

    def push(self, decoded: Decoded, arrived_s: float) -> Iterator[Block]:
        """Frames that came at a time, in; the blocks that are complete, out."""
        self._pending = np.concatenate([self._pending, decoded.samples])
        self._clipped_share = max(self._clipped_share, decoded.clipped_share)
        while (count := self._next_size()) is not None:
            if count and not self._is_settled(arrived_s):
                return
            if count:
                yield self._block(count, arrived_s)
            if self._overflows and self._overflows[0] <= self._frames:
                self._overflows.popleft()
                self._overflowed, self._settled_at_s = True, None

    def _is_settled(self, arrived_s: float) -> bool:
        """Whether enough has come since a hole to know how long it was; the next one ends that."""
        if not (self._cut or self._overflowed):
            return True
        self._timeline.settle(len(self._pending) / self._rate_hz, arrived_s)
        if self._settled_at_s is None:
            self._settled_at_s = arrived_s + SETTLE_S
        return arrived_s >= self._settled_at_s or bool(self._overflows)

    def _next_size(self) -> int | None:
        """Of the next block: shorter before an overflow; None while it isn't complete."""
        if self._overflows and self._overflows[0] - self._frames <= self._size:
            count = max(0, self._overflows[0] - self._frames)
        else:
            count = self._size
        return count if count <= len(self._pending) else None

    def _block(self, count: int, arrived_s: float) -> Block:
        behind_s = (len(self._pending) - count) / self._rate_hz  # it was heard before all of that
        placed = self._timeline.place(
            count / self._rate_hz, arrived_s - behind_s, overflowed=self._overflowed
        )
        self.lost_s += placed.lost_s
        cut = self._cut or self._overflowed or placed.lost_s > 0.0
        samples, self._pending = self._pending[:count], self._pending[count:]
        block = Block(samples, self._rate_hz, placed.at_s, cut, self._clipped_share)
        self._frames += count
        self._cut = self._overflowed = False
        self._clipped_share = 0.0
        return block
