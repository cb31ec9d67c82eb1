"""A stretch of live sound without a hole, of one input, to test a bundle on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.self_test import SHORTEST_S, WANTED_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.capture.sound import Block

    FloatArray = NDArray[np.float32]

UNHEARD_S = 5.0


class LiveSound:
    """Collects until there is enough: 7.7 MB at 48 kHz.

    Of inputs that share a bundle the first one that is heard is taken, until it has a hole.
    """

    def __init__(self) -> None:
        self._name: str | None = None  # of the input
        self._pieces: list[FloatArray] = []
        self._samples = self.rate_hz = 0
        self._heard_s = 0.0
        self.is_enough = False

    @property
    def duration_s(self) -> float:
        """How much there is."""
        return self._samples / self.rate_hz if self.rate_hz else 0.0

    def hear(self, name: str, block: Block, now_s: float) -> None:
        """The next sound of an input."""
        if self.is_enough or (self._name not in {None, name} and not self._is_unheard(now_s)):
            return
        goes_on = name == self._name and not block.cut and block.rate_hz == self.rate_hz
        if not goes_on:
            self.is_enough = self.duration_s >= SHORTEST_S
            if self.is_enough:  # not all that was wanted, but it would do
                return
            self._name, self._pieces, self._samples = name, [], 0
        self._pieces.append(block.samples)
        self._samples, self.rate_hz = self._samples + len(block.samples), block.rate_hz
        self._heard_s = now_s
        self.is_enough = self.duration_s >= WANTED_S

    def take(self) -> FloatArray:
        """All that was collected."""
        return np.concatenate(self._pieces)

    def _is_unheard(self, now_s: float) -> bool:
        return now_s - self._heard_s > UNHEARD_S
