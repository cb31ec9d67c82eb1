"""Streaming polyphase resampling: the same samples out, however the sound is cut into blocks.

Crochiere and Rabiner, *Multirate Digital Signal Processing* (1983). Every output sample is one dot
product of the filter with the input around it. Some neighbouring outputs at a time are a matrix
product of one fixed shape, so a BLAS adds in the same order wherever a block ends.

`scipy.signal` has this filter too, but importing it takes longer than all else that a node does
before it listens, and a third of its memory.
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
GROUP_OUTPUTS = 16  # of one row of a product: a BLAS works on so many at once
PRODUCT_OUTPUTS = 512  # of one product, about


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

    def samples_for(self, outputs: int) -> int:
        """Samples still to be pushed before `outputs` further samples come out."""
        if self._identity or outputs <= 0:
            return max(0, outputs)
        products = -(-outputs // (self._periods * self._outputs))
        return max(0, self._inputs_for(products) - len(self._input))

    def push(self, samples: FloatArray) -> FloatArray:
        """Samples in, the samples that are complete by now out. Both [n], float32."""
        self._received += len(samples)
        if self._identity:
            return samples
        self._input = np.concatenate([self._input, samples])
        spare = len(self._input) - self._inputs_for(0)
        return self._take(spare // (self._periods * self._inputs))

    def finish(self) -> FloatArray:
        """The tail, the sound continued with silence; in all `ceil(received * up / down)`."""
        if self._identity:
            return np.empty(0, np.float32)
        expected = -(-self._received * self._up // self._down) - self._sent
        products = -(-expected // (self._periods * self._outputs))
        missing = self._inputs_for(products) - len(self._input)
        self._input = np.pad(self._input, (0, max(0, missing)))
        return self._take(products)[:expected]

    def _design(self) -> None:
        """The filter, cut into matrices: [groups, inputs that a group sees, outputs of a group]."""
        up, down = self._up, self._down
        half = HALF_LENGTH * max(up, down)
        repeats = -(-GROUP_OUTPUTS // up)  # of a short period, so that it fills a group
        self._outputs, self._inputs = repeats * up, repeats * down  # of one period
        self._periods = max(1, PRODUCT_OUTPUTS // self._outputs)  # of one product
        groups = -(-self._outputs // GROUP_OUTPUTS)
        first = np.arange(groups) * GROUP_OUTPUTS * down // up  # input that a group begins at
        self._before = half // up + 1
        span = (GROUP_OUTPUTS - 1) * down // up + half // up + self._before + 2
        self._starts = (np.arange(self._periods) * self._inputs + first[:, None]).ravel()
        self._span = span
        outputs = np.arange(groups * GROUP_OUTPUTS).reshape(groups, 1, GROUP_OUTPUTS)
        inputs = first[:, None, None] - self._before + np.arange(span)[:, None]
        taps = lowpass(half, max(up, down)) * up
        place = half + outputs * down - inputs * up
        inside = (place >= 0) & (place <= 2 * half)
        matrices = np.where(inside, taps[np.clip(place, 0, 2 * half)], 0.0)
        self._matrices = matrices.astype(np.float32)
        self._input = np.zeros(self._before, np.float32)

    def _inputs_for(self, products: int) -> int:
        """How many samples so many products see, those kept from before included."""
        within = int(self._starts[-1]) + self._span
        return (products - 1) * self._periods * self._inputs + within

    def _take(self, products: int) -> FloatArray:
        """The outputs of the next products."""
        if products <= 0:
            return np.empty(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(self._input, self._span)
        advance, groups = self._periods * self._inputs, len(self._matrices)
        starts = np.arange(products)[:, None] * advance + self._starts
        seen = windows[starts].reshape(products, groups, self._periods, self._span)
        out = np.matmul(seen, self._matrices).transpose(0, 2, 1, 3)
        out = out.reshape(products, self._periods, -1)[..., : self._outputs]
        self._input = self._input[products * advance :]
        self._sent += products * self._periods * self._outputs
        return np.ascontiguousarray(out).reshape(-1)


def lowpass(half: int, widest: int) -> NDArray[np.float64]:
    """A Kaiser-windowed sinc of 2 half + 1 taps that passes 1 / `widest` of the band, gain 1."""
    taps = np.sinc(np.arange(-half, half + 1) / widest) * np.kaiser(2 * half + 1, KAISER_BETA)
    return np.asarray(taps / taps.sum())
