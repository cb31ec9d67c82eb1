"""Sound in, log-mel frames out: streaming, and the same frames however the sound is cut.

A frame is centred on its hop, so frame `i` stands for the samples `[i * hop, (i + 1) * hop)` and a
map cell of eight frames begins and ends exactly where its frames do. The mel scale is HTK's
(`1127 ln(1 + f / 700)`) with triangles that are linear in mel, as in Kaldi; the defaults are those
of EfficientAT (Schmid et al., ICASSP 2023), from which the `mn04` backbone comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

MEL_BREAK_HZ = 700.0
MEL_SCALE = 1127.0
GROUP_BANDS = 32  # bands of one matrix product: most filters reach few bins


class FrontEnd(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The parameters of the log-mel spectrogram; they travel in the bundle's manifest."""

    sample_rate_hz: int = 32_000
    fft_size: int = 1024
    frame_length: int = 800  # samples under the Hann window
    hop_length: int = 320  # samples from one frame to the next: 10 ms
    mel_bands: int = 128
    low_hz: float = 0.0
    high_hz: float = 15_000.0
    preemphasis: float = 0.97
    power_floor: float = 1e-5  # added to the mel power before the logarithm
    log_offset: float = 4.5  # output = (ln(power + floor) + offset) / scale
    log_scale: float = 5.0
    gain_db: float = 0.0  # fixed by calibration; never adapted to the sound being scored

    @property
    def frame_s(self) -> float:
        """Time from one frame to the next, in seconds."""
        return self.hop_length / self.sample_rate_hz

    @property
    def silence(self) -> float:
        """The value of a band that holds no power at all."""
        return float((np.log(self.power_floor) + self.log_offset) / self.log_scale)


def hz_to_mel(frequency_hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Frequency in Hz to HTK mel."""
    return np.asarray(MEL_SCALE * np.log1p(np.asarray(frequency_hz) / MEL_BREAK_HZ))


def mel_to_hz(mel: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """HTK mel to frequency in Hz."""
    return np.asarray(MEL_BREAK_HZ * np.expm1(np.asarray(mel) / MEL_SCALE))


def band_edges_hz(front_end: FrontEnd) -> NDArray[np.float64]:
    """Edges of the mel bands, [mel_bands + 1]: halfway, in mel, between neighbouring centres."""
    low, high = hz_to_mel(front_end.low_hz), hz_to_mel(front_end.high_hz)
    step = (high - low) / (front_end.mel_bands + 1)
    return mel_to_hz(low + step * (0.5 + np.arange(front_end.mel_bands + 1)))


def mel_filters(front_end: FrontEnd) -> FloatArray:
    """Triangular filters over the power spectrum, [fft_size / 2 + 1, mel_bands]."""
    low, high = hz_to_mel(front_end.low_hz), hz_to_mel(front_end.high_hz)
    points = np.linspace(low, high, front_end.mel_bands + 2)
    bins = hz_to_mel(np.arange(front_end.fft_size // 2 + 1) * _bin_hz(front_end))[:, None]
    rising = (bins - points[:-2]) / (points[1:-1] - points[:-2])
    falling = (points[2:] - bins) / (points[2:] - points[1:-1])
    filters = np.maximum(0.0, np.minimum(rising, falling))
    filters[-1] = 0.0  # as Kaldi: the bin at Nyquist belongs to no filter
    return np.ascontiguousarray(filters, dtype=np.float32)


def _bin_hz(front_end: FrontEnd) -> float:
    return front_end.sample_rate_hz / front_end.fft_size


class LogMel:
    """A stream of samples becomes a stream of log-mel frames.

    `limit_hz` is the highest frequency that the sound can hold (the recording's own Nyquist
    frequency): bands above it are set to silence rather than to what a resampler left there.
    """

    def __init__(self, front_end: FrontEnd, *, limit_hz: float | None = None) -> None:
        self.front_end = front_end
        self._window = np.hanning(front_end.frame_length).astype(np.float32)
        self._filters = _grouped(mel_filters(front_end))
        self._gain = np.float32(10.0 ** (front_end.gain_db / 20.0))
        limit = np.inf if limit_hz is None else limit_hz
        self._silent_bands = band_edges_hz(front_end)[:-1] >= limit
        self._lead = (front_end.frame_length - front_end.hop_length) // 2
        self._samples = np.empty(0, np.float32)
        self._started = False
        self._room: _Room | None = None

    def samples_for(self, frames: int) -> int:
        """Samples still to be pushed before `frames` further frames can be pulled."""
        needed = (frames - 1) * self.front_end.hop_length + self.front_end.frame_length + 1
        if not self._started:
            needed -= self._lead + 1
        return max(0, needed - len(self._samples))

    def push(self, samples: FloatArray) -> None:
        """Take in samples at `sample_rate_hz`, mono, full scale 1.0."""
        self._samples = np.concatenate([self._samples, samples])

    def pull(self, frames: int) -> FloatArray:
        """Exactly `frames` frames, [frames, mel_bands]; ask `samples_for` first."""
        if missing := self.samples_for(frames):
            raise ValueError(f"{frames} frames need {missing} more samples")
        self._start()
        hop = self.front_end.hop_length
        used = (frames - 1) * hop + self.front_end.frame_length + 1
        out = self._transform(self._samples[:used])
        self._samples = self._samples[frames * hop :]
        return out

    def finish(self) -> FloatArray:
        """The frames of what is left, the sound continued by its mirror image. [n, mel_bands]."""
        if not self._started and not len(self._samples):
            return np.empty((0, self.front_end.mel_bands), np.float32)
        self._start()
        hop, length = self.front_end.hop_length, self.front_end.frame_length
        remaining = max(0, len(self._samples) - self._lead - 1)
        frames = -(-remaining // hop)
        if frames == 0:
            return np.empty((0, self.front_end.mel_bands), np.float32)
        used = (frames - 1) * hop + length + 1
        padded = np.pad(self._samples, (0, max(0, used - len(self._samples))), mode="reflect")
        self._samples = np.empty(0, np.float32)
        return self._transform(padded[:used])

    def _start(self) -> None:
        """Continue the sound to the left by its mirror image, once."""
        if not self._started:
            self._samples = np.pad(self._samples, (self._lead + 1, 0), mode="reflect")
            self._started = True

    def _transform(self, samples: FloatArray) -> FloatArray:
        front_end = self.front_end
        frames = 1 + (len(samples) - 1 - front_end.frame_length) // front_end.hop_length
        if self._room is None or len(self._room.frames) != frames:
            self._room = _Room.of(front_end, frames)
        emphasised, framed, padded, power, squares = self._room
        np.multiply(samples[:-1], np.float32(-front_end.preemphasis), out=emphasised)
        emphasised += samples[1:]
        emphasised *= self._gain
        np.multiply(framed, self._window, out=padded[:, : front_end.frame_length])
        spectrum = fft.rfft(padded)
        np.square(spectrum.real, out=power)
        np.square(spectrum.imag, out=squares)
        power += squares
        mel = np.empty((frames, front_end.mel_bands), np.float32)
        for bins, bands, weights in self._filters:
            np.matmul(power[:, bins], weights, out=mel[:, bands])
        if self._silent_bands.any():
            mel[:, self._silent_bands] = 0.0
        mel += np.float32(front_end.power_floor)
        np.log(mel, out=mel)
        mel += np.float32(front_end.log_offset)
        mel *= np.float32(1.0 / front_end.log_scale)
        return mel


class _Room(NamedTuple):
    """Where so many frames are worked on, again and again."""

    emphasised: FloatArray
    frames: FloatArray  # a view of it, [n, frame_length]
    padded: FloatArray  # [n, fft_size], zeros behind the frames
    power: FloatArray  # [n, fft_size / 2 + 1]
    squares: FloatArray

    @classmethod
    def of(cls, front_end: FrontEnd, frames: int) -> _Room:
        length, hop = front_end.frame_length, front_end.hop_length
        emphasised = np.empty((frames - 1) * hop + length, np.float32)
        view = np.lib.stride_tricks.sliding_window_view(emphasised, length)[::hop]
        bins = front_end.fft_size // 2 + 1
        padded = np.zeros((frames, front_end.fft_size), np.float32)
        return cls(
            emphasised, view, padded,
            np.empty((frames, bins), np.float32), np.empty((frames, bins), np.float32),
        )  # fmt: skip


def _grouped(filters: FloatArray) -> list[tuple[slice, slice, FloatArray]]:
    """Filters, some neighbouring bands at a time, over only the bins that they reach."""
    groups = []
    for first in range(0, filters.shape[1], GROUP_BANDS):
        bands = slice(first, first + GROUP_BANDS)
        reached = np.flatnonzero(filters[:, bands].any(axis=1))
        bins = slice(int(reached[0]), int(reached[-1]) + 1) if len(reached) else slice(0, 1)
        groups.append((bins, bands, np.ascontiguousarray(filters[bins, bands])))
    return groups
