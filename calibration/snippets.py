"""Short pieces of sound to listen to, as WAV files in memory: all of it, or one band alone."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import signal

from edge.recording import read_part
from edge.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.recording import RecordingInfo

    FloatArray = NDArray[np.float32]

HIGHEST_RATE_HZ = 32_000  # nothing above half of that is scored
PEAK_DBFS, MOST_GAIN_DB = -1.0, 80.0
FILTER_ORDER = 6  # run forwards and backwards: twice that, and no delay
LOWEST_HZ, NARROWEST = 15.0, 1.02  # nothing lower is heard; upper edge over lower edge
HIGHEST_SHARE = 0.97  # of the Nyquist frequency: from there on a band is open
CONTEXT_S = 1.0  # of sound to each side, so that a filter has settled


@dataclass(frozen=True)
class Sound:
    """A piece of a recording, with some context around it."""

    samples: FloatArray  # [n], context included
    rate_hz: int
    start: int  # where, in samples, the piece begins
    length: int

    @property
    def piece(self) -> FloatArray:
        """The piece alone."""
        return self.samples[self.start : self.start + self.length]


@dataclass(frozen=True)
class Snippet:
    """A WAV file to listen to."""

    wav: bytes
    duration_s: float
    gain_db: float  # that was added so that it can be heard


def sound_between(info: RecordingInfo, start_s: float, end_s: float) -> Sound:
    """A piece of a recording at no more than 32 kHz, as far as the recording goes."""
    start_s, end_s = max(0.0, start_s), min(end_s, info.duration_s)
    first = round(max(0.0, start_s - CONTEXT_S) * info.rate_hz)
    last = round(min(end_s + CONTEXT_S, info.duration_s) * info.rate_hz)
    samples = read_part(info, first, max(1, last - first))
    rate_hz = min(info.rate_hz, HIGHEST_RATE_HZ)
    resampler = Resampler(info.rate_hz, rate_hz)
    samples = np.concatenate([resampler.push(samples), resampler.finish()])
    start = round((start_s - first / info.rate_hz) * rate_hz)
    length = max(1, min(round((end_s - start_s) * rate_hz), len(samples) - start))
    return Sound(samples, rate_hz, start, length)


def band_alone(sound: Sound, low_hz: float, high_hz: float) -> Sound:
    """The same piece with nothing but one band, by a Butterworth filter without delay."""
    nyquist_hz = sound.rate_hz / 2
    high_hz = min(high_hz, nyquist_hz)
    low_hz = min(max(low_hz, LOWEST_HZ), high_hz / NARROWEST)
    is_open = high_hz >= HIGHEST_SHARE * nyquist_hz
    # The narrower a band, the lower the order with which its filter stays stable.
    order = FILTER_ORDER if high_hz > 1.2 * low_hz else FILTER_ORDER // 3
    sections = signal.butter(
        order,
        low_hz if is_open else (low_hz, high_hz),
        "highpass" if is_open else "bandpass",
        fs=sound.rate_hz,
        output="sos",
    )
    padding = min(len(sound.samples) - 1, round(CONTEXT_S * sound.rate_hz))
    samples = signal.sosfiltfilt(sections, sound.samples.astype(np.float64), padlen=padding)
    return Sound(np.asarray(samples, np.float32), sound.rate_hz, sound.start, sound.length)


def common_gain_db(*sounds: Sound) -> float:
    """The gain that brings the loudest of several pieces to just below full scale."""
    peak = max(float(np.abs(sound.piece).max()) for sound in sounds)
    return round(min(PEAK_DBFS - 20 * math.log10(max(peak, 1e-9)), MOST_GAIN_DB), 1)


def snippet(sound: Sound, gain_db: float) -> Snippet:
    """A 16-bit WAV file of a piece."""
    import soundfile  # noqa: PLC0415

    louder = np.clip(sound.piece * 10.0 ** (gain_db / 20.0), -1.0, 1.0)
    buffer = io.BytesIO()
    soundfile.write(buffer, louder, sound.rate_hz, format="WAV", subtype="PCM_16")
    return Snippet(buffer.getvalue(), sound.length / sound.rate_hz, gain_db)
