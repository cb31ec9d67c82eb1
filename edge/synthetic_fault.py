"""Faults to be added to sound that is normal: a hiss and a tone, whose boxes are known.

They are no imitation of any real fault. They ask one question of a whole node, from the sound card
to the thresholds: does it still find what is plainly not normal?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

FADE_S = 0.01
FILTER_ORDER = 4
SEED = 1
SMALLEST_RMS = 1e-6  # -120 dBFS: a band with nothing in it


@dataclass(frozen=True)
class SyntheticFault:
    """What is added, where, and how loud against what is there in its own band."""

    kind: str  # "hiss" or "tone"
    start_s: float
    duration_s: float
    low_hz: float
    high_hz: float
    level_db: float

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.start_s + self.duration_s


def with_fault(sound: FloatArray, rate_hz: int, fault: SyntheticFault) -> FloatArray:
    """The sound with a fault in it; both mono float32, full scale 1.0.

    Raises:
        ValueError: the fault does not lie within the sound, or its band not below half the rate.
    """
    first, count = round(fault.start_s * rate_hz), round(fault.duration_s * rate_hz)
    if (
        first < 0
        or first + count > len(sound)
        or not 0 < fault.low_hz < fault.high_hz < rate_hz / 2
    ):
        raise ValueError(f"{fault} does not fit into {len(sound) / rate_hz:.1f} s at {rate_hz} Hz")
    band = (fault.low_hz, fault.high_hz)
    filters = signal.butter(FILTER_ORDER, band, "bandpass", fs=rate_hz, output="sos")
    normal_rms = max(_rms(signal.sosfilt(filters, sound)), SMALLEST_RMS)
    if fault.kind == "hiss":
        noise = np.random.default_rng(SEED).standard_normal(count)
        added = signal.sosfilt(filters, noise)
    else:
        added = np.sin(2 * np.pi * np.sqrt(band[0] * band[1]) * np.arange(count) / rate_hz)
    added *= _fade(count, rate_hz) * normal_rms * 10 ** (fault.level_db / 20) / _rms(added)
    faulty = sound.astype(np.float32, copy=True)
    faulty[first : first + count] += added.astype(np.float32)
    return faulty


def _rms(sound: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _fade(count: int, rate_hz: int) -> NDArray[np.float64]:
    ends = np.minimum(np.arange(count) + 1, np.arange(count, 0, -1))
    return np.asarray(np.clip(ends / (FADE_S * rate_hz), 0.0, 1.0))
