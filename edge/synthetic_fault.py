"""Faults to be added to sound that is normal: a hiss and a tone, whose boxes are known.

They are no imitation of any real fault. They ask one question of a whole node, from the sound card
to the thresholds: does it still find what is plainly not normal? Bands are cut out of spectra,
since a node does without `scipy.signal`, which would take much of its memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

FADE_S = 0.01
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
    normal_rms = max(_band_rms(sound, rate_hz, band), SMALLEST_RMS)
    if fault.kind == "hiss":
        spectrum = fft.rfft(np.random.default_rng(SEED).standard_normal(count))
        added = fft.irfft(spectrum * _inside(count, rate_hz, band), count)
    else:
        added = np.sin(2 * np.pi * np.sqrt(band[0] * band[1]) * np.arange(count) / rate_hz)
    added *= _fade(count, rate_hz) * normal_rms * 10 ** (fault.level_db / 20) / _rms(added)
    faulty = sound.astype(np.float32, copy=True)
    faulty[first : first + count] += added.astype(np.float32)
    return faulty


def _band_rms(sound: FloatArray, rate_hz: int, band: tuple[float, float]) -> float:
    """What is in a band, from spectra of about a second each, through a window for hum far off."""
    power = 0.0
    for piece in np.array_split(sound, max(1, round(len(sound) / rate_hz))):
        count = len(piece)
        window = np.hanning(count + 1)[:-1]
        spectrum = fft.rfft(piece * window)[_inside(count, rate_hz, band)]
        power += 2.0 * float(np.sum(np.abs(spectrum) ** 2)) / float(np.sum(window**2))
    return float(np.sqrt(power / len(sound)))


def _inside(count: int, rate_hz: int, band: tuple[float, float]) -> NDArray[np.bool_]:
    """Which lines of a spectrum of so many samples are in a band."""
    frequency_hz = fft.rfftfreq(count, 1.0 / rate_hz)
    return np.asarray((frequency_hz >= band[0]) & (frequency_hz <= band[1]))


def _rms(sound: NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def _fade(count: int, rate_hz: int) -> NDArray[np.float64]:
    ends = np.minimum(np.arange(count) + 1, np.arange(count, 0, -1))
    return np.asarray(np.clip(ends / (FADE_S * rate_hz), 0.0, 1.0))
