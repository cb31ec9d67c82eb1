"""Streaming polyphase resampling: the same samples out, however the sound is cut into blocks.

Crochiere and Rabiner, *Multirate Digital Signal Processing* (1983). Every output sample is one dot
product of the filter with the input around it, so a block edge leaves no trace.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

HALF_LENGTH = 16  # filter length to each side, in samples of the lower rate
KAISER_BETA = 6.0  # about 63 dB in the stop band


class Resampler:
    """Turns a mono stream at one rate into a mono stream at another."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        divisor = gcd(from_hz, to_hz)
        self._up, self._down = to_hz // divisor, from_hz // divisor
        self._identity = from_hz == to_hz
        self._received = self._sent = 0
        self._input = np.empty(0, np.float32)
        if not self._identity:
            self._design()

    def push(self, samples: FloatArray) -> FloatArray:
        """Samples in, the samples that are complete by now out. Both [n], float32."""
        self._received += len(samples)
        if self._identity:
            return samples
        self._input = np.concatenate([self._input, samples])
        return self._take((len(self._input) - 2 * self._margin) // self._down)

    def finish(self) -> FloatArray:
        """The tail, the sound continued with silence; in all `ceil(received * up / down)`."""
        if self._identity:
            return np.empty(0, np.float32)
        total = -(-self._received * self._up // self._down)
        blocks = -(-(total - self._sent) // self._up)
        missing = 2 * self._margin + blocks * self._down - len(self._input)
        self._input = np.pad(self._input, (0, max(0, missing)))
        expected = total - self._sent
        return self._take(blocks)[:expected]

    def _design(self) -> None:
        from scipy import signal  # noqa: PLC0415  (a third of a second, and often not needed)

        self._upfirdn = signal.upfirdn
        widest = max(self._up, self._down)
        half = HALF_LENGTH * widest
        taps = self._up * signal.firwin(2 * half + 1, 1.0 / widest, window=("kaiser", KAISER_BETA))
        lead = -half % self._down  # so that the filter's delay is a whole number of outputs
        self._taps = np.concatenate([np.zeros(lead), taps]).astype(np.float32)
        self._delay = (half + lead) // self._down
        blocks = -(-half // (self._up * self._down)) + 1
        self._margin = blocks * self._down  # input kept to each side of a block
        self._lead_outputs = blocks * self._up
        self._input = np.zeros(self._margin, np.float32)

    def _take(self, blocks: int) -> FloatArray:
        """The outputs of the next `blocks` whole blocks of `down` input samples."""
        if blocks <= 0:
            return np.empty(0, np.float32)
        segment = self._input[: 2 * self._margin + blocks * self._down]
        filtered = self._upfirdn(self._taps, segment, self._up, self._down)
        first = self._delay + self._lead_outputs
        out = filtered[first : first + blocks * self._up]
        self._input = self._input[blocks * self._down :]
        self._sent += len(out)
        return np.asarray(out, dtype=np.float32)
