"""The sound that the student is trained on: real recordings and simulated machines, mixed.

Every window is a background (rain, sea, a machine, the simulator) at a level between -55 and
-15 dBFS, often with a second sound at -10 to +20 dB in it, shifted, filtered or played at another
speed. What reporting needs is left out: ESC-10 folds 4 and 5, slide rail clips 45 to 74, every
anomalous clip, and the raw MIMII clips.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from calibration.simulator import FAULTS, Fault, Machine
from edge.progress import track
from edge.recording import read_blocks, recording_info
from edge.resample import Resampler

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

RATE_HZ = 32_000
HELD_OUT_FOLDS = ("4", "5")
FIRST_HELD_OUT_SLIDER = 45
SIMULATED_MACHINES, SIMULATED_S = 60, 24.0
LOWEST_DBFS, HIGHEST_DBFS = -55.0, -15.0
SIMULATED_SHARE, EVENT_SHARE, FILTER_SHARE = 0.35, 0.6, 0.5
SPEEDS = (0.7, 1.4)


class Sounds:
    """Draws windows of sound.

    Args:
        data: a folder with `esc10/`, `slider_id00/` and `dcase2020/`, as far as they are there.
        seed: the same seed draws the same windows.
    """

    def __init__(self, data: Path, seed: int) -> None:
        paths = training_recordings(data)
        tracked = track(paths, "Reading recordings", len(paths), "files")
        self._recordings = [read_sound(path) for path in tracked]
        machines = range(SIMULATED_MACHINES)
        self._machines = [
            _simulated(seed * 1_000 + number)
            for number in track(machines, "Simulating machines", len(machines), "machines")
        ]
        self._seed = seed
        self._random = np.random.default_rng(seed)
        self.files = [str(path.relative_to(data)) for path in paths]

    def reseed(self, part: int) -> None:
        """Draw other windows from now on."""
        self._random = np.random.default_rng([self._seed, part])

    def draw(self, samples: int) -> FloatArray:
        """One window of sound, [samples], at 32 kHz."""
        random = self._random
        sound = _level(self._part(samples), random.uniform(LOWEST_DBFS, HIGHEST_DBFS))
        if random.random() < EVENT_SHARE:
            sound += self._event(samples, float(np.sqrt(np.mean(sound**2))))
        if random.random() < FILTER_SHARE:
            sound = _filtered(sound, random)
        return np.clip(sound, -1, 1).astype(np.float32)

    def _part(self, samples: int) -> FloatArray:
        """A stretch of one source, at its own speed or another."""
        random = self._random
        simulated = random.random() < SIMULATED_SHARE or not self._recordings
        pool = self._machines if simulated else self._recordings
        source = pool[random.integers(len(pool))]
        speed = random.uniform(*SPEEDS) if random.random() < FILTER_SHARE else 1.0
        length = round(samples * speed)
        start = random.integers(0, max(1, len(source) - length))
        part = np.resize(source[start : start + length], length)
        at = np.linspace(0, length - 1, samples)
        return np.interp(at, np.arange(length), part).astype(np.float32)

    def _event(self, samples: int, level: float) -> FloatArray:
        """Another sound for a part of the window, faded in and out."""
        random = self._random
        length = int(random.integers(samples // 20, samples))
        start = int(random.integers(0, samples - length + 1))
        part = self._part(length)
        loudness = float(np.sqrt(np.mean(part**2)) + 1e-7)
        gain = level / loudness * 10 ** (random.uniform(-10, 20) / 20)
        added = np.zeros(samples, np.float32)
        added[start : start + length] = gain * part * signal.windows.tukey(length, 0.1)
        return added


def training_recordings(data: Path) -> list[Path]:
    """The recordings that training may use, sorted."""
    esc10 = [p for p in data.glob("esc10/*/*.ogg") if p.name[0] not in HELD_OUT_FOLDS]
    slider = [p for p in data.glob("slider_id00/normal/*.flac") if not is_held_out_slider(p)]
    return sorted([*esc10, *slider, *data.glob("dcase2020/*/normal/*.flac")])


def is_held_out_slider(path: Path) -> bool:
    """Whether a slide rail clip, `normal_id_00_00000045.flac`, is kept for reporting."""
    number = path.stem.rsplit("_", 1)[-1]
    return number.isdecimal() and int(number) >= FIRST_HELD_OUT_SLIDER


def read_sound(path: Path) -> FloatArray:
    """A whole recording at 32 kHz, mono."""
    info = recording_info(path)
    resampler = Resampler(info.rate_hz, RATE_HZ)
    parts = [resampler.push(block) for block in read_blocks(info)]
    return np.concatenate([*parts, resampler.finish()])


def _simulated(seed: int) -> FloatArray:
    """A simulated machine, with every kind of fault somewhere in it."""
    machine = Machine(seed, RATE_HZ)
    random = np.random.default_rng(seed)
    kinds = random.permutation(sorted(FAULTS))
    faults = [
        Fault(str(kind), 2.0 + 4.0 * i, float(random.uniform(0.3, 3.5)), random.uniform(3, 20))
        for i, kind in enumerate(kinds)
    ]
    sound, _ = machine.with_faults(SIMULATED_S, 0, faults)
    return sound.astype(np.float32)


def _level(sound: FloatArray, level_dbfs: float) -> FloatArray:
    loudness = float(np.sqrt(np.mean(sound**2)) + 1e-7)
    return np.asarray(sound * np.float32(10 ** (level_dbfs / 20) / loudness))


def _filtered(sound: FloatArray, random: np.random.Generator) -> FloatArray:
    """A tilt and a resonance, as a room, an enclosure or a cheap microphone adds them."""
    corner_hz = np.exp(random.uniform(np.log(100.0), np.log(10_000.0)))
    kind = random.choice(["lowpass", "highpass"])
    sos = signal.butter(1, corner_hz, str(kind), fs=RATE_HZ, output="sos")
    share = random.uniform(0.3, 1.0)
    return np.asarray((1 - share) * sound + share * signal.sosfilt(sos, sound), dtype=np.float32)
