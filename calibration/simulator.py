"""A simulated rotating machine, and faults with known truth in time and frequency.

Normal sound is shaft harmonics, blade pass, bearing noise modulated by the shaft, and flow noise,
with a speed that wanders. A fault is added at a level relative to the normal sound in its own
band, and tells the box that it fills. Everything follows from a seed. It serves the demo, the
tests and training; it is not a model of any particular machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Sound = NDArray[np.float64]

RATE_HZ = 48_000
LEVEL_DBFS = -32.0
FADE_S = 0.01
SPEED_WANDER = 0.004  # relative, one standard deviation
FLOW_CORNER_HZ = 600.0
BAND_EDGE_ORDER = 6


@dataclass(frozen=True, order=True)
class Box:
    """Where a fault is, in time and frequency."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float

    def overlap(self, other: Box) -> float:
        """Intersection over union of the two areas in time and frequency."""
        width = min(self.end_s, other.end_s) - max(self.start_s, other.start_s)
        height = min(self.high_hz, other.high_hz) - max(self.low_hz, other.low_hz)
        shared = max(0.0, width) * max(0.0, height)
        return shared / (self.area + other.area - shared)

    @property
    def area(self) -> float:
        """Seconds times hertz."""
        return (self.end_s - self.start_s) * (self.high_hz - self.low_hz)


@dataclass(frozen=True)
class Fault:
    """A fault to add: what, when, and how loud against the normal sound in its own band."""

    kind: str
    start_s: float
    duration_s: float
    level_db: float = 12.0


@dataclass(frozen=True)
class Machine:
    """One machine; every property follows from its seed."""

    seed: int
    rate_hz: int = RATE_HZ

    @property
    def shaft_hz(self) -> float:
        """Turns of the shaft in a second."""
        return float(np.random.default_rng(self.seed).uniform(20.0, 30.0))

    def normal(self, duration_s: float, take: int) -> Sound:
        """Normal sound; another `take` of the same machine differs in its noise."""
        random = np.random.default_rng([self.seed, take])
        samples = round(duration_s * self.rate_hz)
        phase = 2 * np.pi * np.cumsum(self._speed(samples, random)) / self.rate_hz
        shape = np.random.default_rng([self.seed, 0xA11])
        blades = int(shape.integers(5, 9))
        tones = _harmonics(phase, 8, shape) + 0.7 * _harmonics(blades * phase, 3, shape)
        bearing_hz = shape.uniform(1_800.0, 2_600.0)
        bearing = _band_noise(samples, bearing_hz, 1.6 * bearing_hz, self.rate_hz, random)
        bearing *= 1.0 + 0.5 * np.sin(phase * shape.uniform(3.0, 5.0))
        flow = _flow_noise(samples, self.rate_hz, random)
        sound = tones + 0.12 * bearing + flow + 0.02 * random.standard_normal(samples)
        scale = 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(sound**2))
        return np.asarray(sound * scale)

    def with_faults(
        self, duration_s: float, take: int, faults: Sequence[Fault]
    ) -> tuple[Sound, list[Box]]:
        """Normal sound with faults in it, and the true box of each."""
        normal_sound = self.normal(duration_s, take)
        sound = normal_sound.copy()
        boxes = []
        for number, fault in enumerate(faults):
            random = np.random.default_rng([self.seed, take, number])
            samples = round(fault.duration_s * self.rate_hz)
            raw, low_hz, high_hz = FAULTS[fault.kind](self, samples, random)
            own = _band_rms(raw, low_hz, high_hz, self.rate_hz)
            normal = _band_rms(normal_sound, low_hz, high_hz, self.rate_hz)
            scaled = raw * normal / own * 10 ** (fault.level_db / 20)
            first = round(fault.start_s * self.rate_hz)
            sound[first : first + samples] += _faded(scaled, self.rate_hz)
            boxes.append(Box(fault.start_s, fault.start_s + fault.duration_s, low_hz, high_hz))
        return sound, boxes

    def _speed(self, samples: int, random: np.random.Generator) -> Sound:
        """Shaft speed in Hz by sample: constant but for a slow wander."""
        points = max(2, samples // self.rate_hz + 2)
        wander = 1.0 + SPEED_WANDER * random.standard_normal(points)
        at = np.linspace(0, points - 1, samples)
        return np.asarray(self.shaft_hz * np.interp(at, np.arange(points), wander))


def _bearing_impacts(
    machine: Machine, samples: int, random: np.random.Generator
) -> tuple[Sound, float, float]:
    """A chipped race: sharp impacts that ring at a resonance, about 3.6 a turn."""
    resonance_hz, decay_s = random.uniform(3_500.0, 5_000.0), 0.0009
    period = machine.rate_hz / (3.57 * machine.shaft_hz)
    regular = np.arange(0, samples, period)
    hits = regular + random.normal(0, 0.01 * period, len(regular))
    pulses = np.zeros(samples)
    pulses[np.clip(hits.astype(int), 0, samples - 1)] = random.uniform(0.7, 1.3, len(hits))
    time_s = np.arange(round(8 * decay_s * machine.rate_hz)) / machine.rate_hz
    ring = np.exp(-time_s / decay_s) * np.sin(2 * np.pi * resonance_hz * time_s)
    return np.convolve(pulses, ring)[:samples], 0.75 * resonance_hz, 1.3 * resonance_hz


def _imbalance(
    machine: Machine, samples: int, random: np.random.Generator
) -> tuple[Sound, float, float]:
    """Mass off the axis: the shaft's own frequency grows."""
    phase = 2 * np.pi * machine.shaft_hz * np.arange(samples) / machine.rate_hz
    sound = np.sin(phase + random.uniform(0, 2 * np.pi))
    return sound, 0.8 * machine.shaft_hz, 1.25 * machine.shaft_hz


def _belt_squeal(
    machine: Machine, samples: int, random: np.random.Generator
) -> tuple[Sound, float, float]:
    """A slipping belt: a wavering tone with a weak overtone."""
    centre_hz = random.uniform(1_500.0, 2_600.0)
    time_s = np.arange(samples) / machine.rate_hz
    waver = 1.0 + 0.03 * np.sin(2 * np.pi * random.uniform(3.0, 6.0) * time_s)
    phase = 2 * np.pi * np.cumsum(centre_hz * waver) / machine.rate_hz
    return np.sin(phase) + 0.05 * np.sin(2 * phase), 0.93 * centre_hz, 1.07 * centre_hz


def _leak_hiss(
    machine: Machine, samples: int, random: np.random.Generator
) -> tuple[Sound, float, float]:
    """Air or steam from a crack: steady noise at high frequencies."""
    low_hz = random.uniform(4_000.0, 6_000.0)
    high_hz = min(2.2 * low_hz, 0.45 * machine.rate_hz)
    return _band_noise(samples, low_hz, high_hz, machine.rate_hz, random), low_hz, high_hz


def _cavitation(
    machine: Machine, samples: int, random: np.random.Generator
) -> tuple[Sound, float, float]:
    """Collapsing bubbles: crackling bursts over a wide band."""
    low_hz, high_hz = random.uniform(800.0, 1_200.0), random.uniform(5_000.0, 7_000.0)
    noise = _band_noise(samples, low_hz, high_hz, machine.rate_hz, random)
    burst = round(0.004 * machine.rate_hz)
    bursts = random.random(-(-samples // burst)) ** 4
    return noise * np.repeat(bursts, burst)[:samples], low_hz, high_hz


FAULTS: dict[
    str, Callable[[Machine, int, np.random.Generator], tuple[NDArray[np.float64], float, float]]
] = {
    "bearing impacts": _bearing_impacts,
    "imbalance": _imbalance,
    "belt squeal": _belt_squeal,
    "leak hiss": _leak_hiss,
    "cavitation": _cavitation,
}


def _harmonics(phase: Sound, count: int, shape: np.random.Generator) -> Sound:
    total = np.zeros_like(phase)
    for k in range(1, count + 1):
        total += shape.uniform(0.4, 1.0) / k * np.sin(k * phase + shape.uniform(0, 2 * np.pi))
    return total


def _flow_noise(samples: int, rate_hz: int, random: np.random.Generator) -> Sound:
    sos = signal.butter(1, FLOW_CORNER_HZ, fs=rate_hz, output="sos")
    return np.asarray(3.0 * signal.sosfilt(sos, random.standard_normal(samples)))


def _band_noise(
    samples: int, low_hz: float, high_hz: float, rate_hz: int, random: np.random.Generator
) -> Sound:
    sos = signal.butter(BAND_EDGE_ORDER, (low_hz, high_hz), "bandpass", fs=rate_hz, output="sos")
    noise = signal.sosfilt(sos, random.standard_normal(samples))
    return np.asarray(noise / np.sqrt(np.mean(noise**2)))


def _band_rms(sound: Sound, low_hz: float, high_hz: float, rate_hz: int) -> float:
    frequency_hz, power = signal.welch(sound, rate_hz, nperseg=min(len(sound), 16_384))
    inside = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    width_hz = frequency_hz[1] - frequency_hz[0]
    return float(np.sqrt(power[inside].sum() * width_hz) + 1e-12)


def _faded(sound: Sound, rate_hz: int) -> Sound:
    fade = min(round(FADE_S * rate_hz), len(sound) // 2)
    ramp = np.ones(len(sound))
    ramp[:fade] = np.linspace(0, 1, fade)
    ramp[len(sound) - fade :] = np.linspace(1, 0, fade)
    return sound * ramp
