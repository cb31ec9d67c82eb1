"""Sound of which every single sample tells when it was heard.

A frame number is scrambled into 24 bits, which are the sample: noise to whoever listens, and a
clock to a test. Two multiplications and two shifts on 24 bits, each of which can be undone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    IntArray = NDArray[np.int64]

BITS = 24
PERIOD = 1 << BITS  # frames, after which it begins anew: 350 s at 48 kHz
AMPLITUDE = 0.25  # -17 dBFS
_MASK, _HALF = PERIOD - 1, PERIOD >> 1
_FACTORS = (0x9E3779, 0x85EBCB)
_SHIFTS = (12, 13)  # at least half of the bits: such a shift undoes itself


def sound_at(first: int, count: int) -> FloatArray:
    """What is heard in the frames from `first` on, [count]."""
    value = np.arange(first, first + count, dtype=np.int64) & _MASK
    for factor, shift in zip(_FACTORS, _SHIFTS, strict=True):
        value = (value * factor) & _MASK
        value ^= value >> shift
    return ((value - _HALF).astype(np.float32) / np.float32(_HALF)) * np.float32(AMPLITUDE)


def frames_of(samples: FloatArray) -> IntArray:
    """The frame number of each sample, modulo `PERIOD`."""
    value = np.rint(samples / AMPLITUDE * _HALF).astype(np.int64) + _HALF
    for factor, shift in zip(reversed(_FACTORS), reversed(_SHIFTS), strict=True):
        value ^= value >> shift
        value = (value * pow(factor, -1, PERIOD)) & _MASK
    return np.asarray(value, np.int64)
