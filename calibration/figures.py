"""A recording in a few figures by second: what the quality of calibration sound is judged by.

One pass, block by block; of the sound itself no more than three seconds are held. A second costs
about a hundred bytes, so a day of sound is eight megabytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from edge.recording import RecordingInfo

    FloatArray = NDArray[np.float32]

FLOOR_DBFS = -200.0
# Octave-wide, as IEC 61260 has them, give or take a percent.
BAND_EDGES_HZ = 31.25 * 2.0 ** np.arange(10)
BANDS = len(BAND_EDGES_HZ) - 1
MAINS_HZ = (50.0, 60.0)
HIGHEST_HARMONIC_HZ = 1_000.0
HARMONIC_HALF_WIDTH_HZ = 2.5  # of a Hann window over a second, and what the mains wander
FULL_SCALE = 0.9999
NEAR_SHARE = 0.01  # of the range: what lies just below a plateau
CROWDED = 2.5  # how many times as many samples lie on a plateau; at the top of a sine 1.4
PARTS = 10  # of a second
PATTERN_SAMPLES = 32  # looked for in what came before
LAGS_TRIED = 4

SECOND = np.dtype(
    [
        ("start_s", "f8"),
        ("end_s", "f8"),
        ("mean", "f8"),
        ("power", "f8"),  # mean square around the mean
        ("quietest_dbfs", "f4"),  # RMS of the quietest tenth of the second
        ("crest_db", "f4"),  # peak over RMS, both around the mean
        ("highest", "f4"),
        ("lowest", "f4"),
        ("full_scale_share", "f4"),
        ("high_plateau_share", "f4"),  # of samples at `highest`, where they look cut off; else 0
        ("low_plateau_share", "f4"),
        ("constant_s", "f4"),  # longest run of one value
        ("constant_value", "f4"),
        ("period_s", "f4"),  # of what exactly repeats itself; 0 where nothing does
        ("hum_share", "f4"),  # of the power, in harmonics of 50 or 60 Hz
        ("rest_dbfs", "f4"),  # RMS of everything else
        ("bands_dbfs", "f4", (BANDS,)),  # RMS by octave; nan above the limit
        ("digest", "u8"),
    ]
)


@dataclass(frozen=True)
class Figures:
    """One recording's figures, `seconds` of them, a row of `SECOND` each."""

    name: str
    duration_s: float
    seconds: NDArray[np.void]

    @property
    def level_dbfs(self) -> NDArray[np.float64]:
        """RMS by second, around the second's mean."""
        return decibels(self.seconds["power"])


def decibels(power: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Mean square to dBFS; full scale is an amplitude of 1."""
    return np.asarray(10.0 * np.log10(np.maximum(power, 10.0 ** (FLOOR_DBFS / 10.0))))


def gather(info: RecordingInfo, blocks: Iterable[FloatArray], limit_hz: float) -> Figures:
    """The figures of every second.

    Args:
        info: the recording.
        blocks: its samples, mono, in order.
        limit_hz: bands above it are left empty: other recordings don't reach so far.
    """
    rows = []
    before = np.empty(0, np.float32)
    start = 0
    for samples in _seconds(blocks, info.rate_hz):
        rows.append(_row(samples, before, start, info.rate_hz, limit_hz))
        start += len(samples)
        before = samples
    return Figures(str(info.path), info.duration_s, np.array(rows, SECOND))


def _seconds(blocks: Iterable[FloatArray], rate_hz: int) -> Iterator[FloatArray]:
    """A second at a time; what is left at the end, up to half a second, goes to the last one."""
    held = np.empty(0, np.float32)
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) >= rate_hz + rate_hz // 2:
            yield held[:rate_hz]
            held = held[rate_hz:]
    if len(held):
        yield held


def _row(
    samples: FloatArray, before: FloatArray, start: int, rate_hz: int, limit_hz: float
) -> tuple[object, ...]:
    mean = float(samples.mean(dtype=np.float64))
    around = samples - np.float32(mean)
    power = float(np.square(around, dtype=np.float64).mean())
    parts = np.array_split(around, PARTS)
    quietest = min(float(part.var(dtype=np.float64)) for part in parts if len(part))
    highest, lowest = samples.max(), samples.min()
    constant, value = _longest_run(samples)
    peak = max(float(highest) - mean, mean - float(lowest))
    hum_share, rest_dbfs, bands_dbfs = _spectrum(around, rate_hz, limit_hz)
    return (
        start / rate_hz,
        (start + len(samples)) / rate_hz,
        mean,
        power,
        decibels(quietest),
        decibels(peak**2) - decibels(power),
        highest,
        lowest,
        float((np.abs(samples) >= FULL_SCALE).mean()),
        _plateau_share(samples),
        _plateau_share(-samples),
        constant / rate_hz,
        value,
        _period(samples, before) / rate_hz,
        hum_share,
        rest_dbfs,
        bands_dbfs,
        int.from_bytes(hashlib.blake2b(samples.tobytes(), digest_size=8).digest(), "big"),
    )


def _longest_run(samples: FloatArray) -> tuple[int, float]:
    """How many samples the longest run of one value has, and that value."""
    edges = np.flatnonzero(samples[1:] != samples[:-1]) + 1
    bounds = np.concatenate([[0], edges, [len(samples)]])
    lengths = np.diff(bounds)
    longest = int(lengths.argmax())
    return int(lengths[longest]), float(samples[bounds[longest]])


def _plateau_share(samples: FloatArray) -> float:
    """The share of samples at the very top, if far more lie there than just below.

    Sound that was cut off piles up at one value. A sine's top is crowded too, and so is that of a
    sound of a few quantisation steps, but their neighbours are as crowded.
    """
    highest = samples.max()
    below = samples[samples < highest]
    at_top = len(samples) - len(below)
    if at_top < 3 or not len(below):  # noqa: PLR2004  (fewer are no plateau)
        return 0.0
    step = highest - below.max()
    width = max(NEAR_SHARE * float(highest - below.min()), 1.5 * float(step))
    near = int(np.count_nonzero(below >= highest - width))
    return at_top / len(samples) if at_top > CROWDED * near else 0.0


def _period(samples: FloatArray, before: FloatArray) -> int:
    """After how many samples all of this second repeats what came before it; 0: it does not.

    A stuck driver hands out one buffer again and again. The noise of a real microphone never
    repeats to the last bit.
    """
    heard = np.concatenate([before, samples])
    if len(heard) <= PATTERN_SAMPLES or (samples == samples[0]).all():
        return 0
    ends = np.flatnonzero(heard[PATTERN_SAMPLES - 1 : -1] == heard[-1]) + PATTERN_SAMPLES - 1
    for back in range(1, PATTERN_SAMPLES):
        ends = ends[heard[ends - back] == heard[-1 - back]]
    for end in ends[::-1][:LAGS_TRIED]:
        lag = len(heard) - 1 - int(end)
        compared = min(len(samples), len(heard) - lag)
        again = heard[len(heard) - compared :]
        if lag <= compared and (again == heard[len(heard) - compared - lag :][:compared]).all():
            return lag
    return 0


def _spectrum(
    around: FloatArray, rate_hz: int, limit_hz: float
) -> tuple[float, float, NDArray[np.float64]]:
    """Share of mains hum, level of the rest, and levels by octave, through a Hann window."""
    count = len(around)
    window = np.hanning(count + 2)[1:-1].astype(np.float32)
    spectrum = fft.rfft(around * window)
    power = 2.0 * (spectrum.real**2 + spectrum.imag**2).astype(np.float64)
    power /= count * float(np.square(window, dtype=np.float64).sum())
    frequency_hz = np.arange(len(power)) * (rate_hz / count)
    total = float(power.sum())
    hum = max(float(power[_near_harmonics(frequency_hz, mains)].sum()) for mains in MAINS_HZ)
    edges = np.searchsorted(frequency_hz, np.minimum(BAND_EDGES_HZ, limit_hz))
    sums = np.concatenate([[0.0], np.cumsum(power)])[edges]
    bands_dbfs = decibels(np.diff(sums))
    bands_dbfs[BAND_EDGES_HZ[1:] > limit_hz * 1.0001] = np.nan
    return hum / max(total, 1e-30), float(decibels(total - hum)), bands_dbfs


def _near_harmonics(frequency_hz: NDArray[np.float64], mains_hz: float) -> NDArray[np.bool_]:
    order = np.round(frequency_hz / mains_hz)
    near = np.abs(frequency_hz - order * mains_hz) <= HARMONIC_HALF_WIDTH_HZ
    return np.asarray(near & (order >= 1) & (frequency_hz <= HIGHEST_HARMONIC_HZ))
