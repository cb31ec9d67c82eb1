"""Windows of normal sound for the desktop step: spread evenly over all recordings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.errors import RecordingError
from edge.frontend import FrontEnd, LogMel
from edge.progress import track
from edge.recording import read_part
from edge.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibration.survey import Piece, Survey

    FloatArray = NDArray[np.float32]

SEED = 7
MARGIN_S = 0.1  # read beyond a window, for the resampler
TONE_RANGE_HZ = (60.0, 12_000.0)


def sample_windows(
    heard: Survey, front_end: FrontEnd, frames: int, count: int
) -> tuple[FloatArray, FloatArray]:
    """Log-mel windows of the normal sound, and the same windows disturbed.

    A backbone quantised on normal sound alone would saturate on what it is there to find; so the
    second half of the representative windows carries tones, clicks, bursts and changes of level.

    Returns:
        Normal and disturbed windows, both [count, frames, mel_bands].

    Raises:
        RecordingError: no recording is as long as a window.
    """
    length_s = frames * front_end.frame_s + MARGIN_S
    usable = [piece for piece in heard.pieces if piece.duration_s >= length_s]
    if not usable:
        raise RecordingError(f"no recording of normal sound is at least {length_s:.2f} s long")
    ends = np.cumsum([piece.duration_s - length_s for piece in usable])
    random = np.random.default_rng(SEED)
    normal, disturbed = [], []
    positions = (np.arange(count) + 0.5) / count * max(ends[-1], 1e-9)
    for position in track(positions, "Sampling windows", count, "windows"):
        index = min(int(np.searchsorted(ends, position)), len(usable) - 1)
        start_s = min(position - (ends[index - 1] if index else 0.0), ends[index])
        sound = _read(usable[index], float(start_s), length_s, front_end.sample_rate_hz)
        limit_hz = heard.limit_hz
        normal.append(_window(sound, front_end, frames, limit_hz))
        disturbed.append(
            _window(_disturb(sound, front_end.sample_rate_hz, random), front_end, frames, limit_hz)
        )
    return np.stack(normal), np.stack(disturbed)


def _read(piece: Piece, start_s: float, length_s: float, rate_hz: int) -> FloatArray:
    start = piece.start + round(start_s * piece.rate_hz)
    part = read_part(piece.recording, start, round(length_s * piece.rate_hz))
    resampler = Resampler(piece.rate_hz, rate_hz)
    return np.concatenate([resampler.push(part), resampler.finish()])


def _window(sound: FloatArray, front_end: FrontEnd, frames: int, limit_hz: float) -> FloatArray:
    log_mel = LogMel(front_end, limit_hz=limit_hz)
    log_mel.push(sound)
    return log_mel.pull(frames)


def _disturb(sound: FloatArray, rate_hz: int, random: np.random.Generator) -> FloatArray:
    """Add one thing that normal sound does not hold, 0 to 30 dB above it."""
    level = float(np.sqrt(np.mean(sound**2)) + 1e-6) * 10 ** (random.uniform(0, 30) / 20)
    time_s = np.arange(len(sound)) / rate_hz
    kind = random.choice(["tone", "clicks", "burst", "level"])
    if kind == "tone":
        low, high = np.log(TONE_RANGE_HZ)
        added = level * np.sin(2 * np.pi * np.exp(random.uniform(low, high)) * time_s)
    elif kind == "clicks":
        added = np.zeros(len(sound))
        added[random.integers(0, len(sound), size=5)] = 30 * level
    elif kind == "burst":
        begin, end = np.sort(random.integers(0, len(sound), size=2))
        added = np.zeros(len(sound))
        added[begin:end] = level * random.standard_normal(end - begin)
    else:
        return np.asarray(sound * np.float32(10 ** (random.uniform(-30, 20) / 20)))
    return np.asarray(sound + added, dtype=np.float32)
