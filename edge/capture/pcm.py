"""Raw interleaved PCM from a file descriptor becomes mono blocks."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from edge.capture.sound import Block, Outage
from edge.errors import RecordingError
from edge.recording import MAX_SAMPLE

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.capture.settings import StdinSource

    FloatArray = NDArray[np.float32]

READ_BYTES = 65_536
WAIT_S = 0.5  # longest wait before a reader looks whether it should stop
FULL_SCALE = 0.999  # a sample from here on counts as clipped

ENCODINGS: dict[str, tuple[np.dtype[Any], float]] = {
    "s16le": (np.dtype("<i2"), 1.0 / 32_768),
    "s32le": (np.dtype("<i4"), 1.0 / 2**31),
    "f32le": (np.dtype("<f4"), 1.0),
}


class Decoded(NamedTuple):
    """Frames of a stream, mono."""

    samples: FloatArray  # [n]
    clipped_share: float  # of all channels that are used


class PcmDecoder:
    """Bytes cut anywhere in, whole frames out.

    Args:
        channels: in a frame.
        encoding: a key of `ENCODINGS`.
        channel: the one to use, counted from 1; 0 is the mean of all.
    """

    def __init__(self, channels: int, encoding: str, channel: int = 0) -> None:
        self._dtype, self._full_scale = ENCODINGS[encoding]
        self._channels, self._channel = channels, channel
        self.frame_bytes = channels * self._dtype.itemsize
        self._pending = b""

    def push(self, data: bytes) -> Decoded:
        """Whatever frames are complete by now."""
        data = self._pending + data
        whole = len(data) - len(data) % self.frame_bytes
        self._pending = data[whole:]
        frames = np.frombuffer(data[:whole], self._dtype).reshape(-1, self._channels)
        if self._channel:
            frames = frames[:, self._channel - 1 : self._channel]
        if not len(frames):
            return Decoded(np.empty(0, np.float32), 0.0)
        scaled = frames * np.float64(self._full_scale)
        with np.errstate(invalid="ignore"):  # infinities of both signs
            mono = scaled.mean(axis=1)
        mono[~(np.abs(mono) <= MAX_SAMPLE)] = 0.0  # a stream can't be refused for one bad sample
        clipped = float(np.mean(np.abs(scaled) >= FULL_SCALE))
        return Decoded(np.asarray(mono, dtype=np.float32), clipped)


class PcmReader:
    """A source that reads raw PCM; its clock counts samples, since a pipe tells no time.

    Args:
        settings: rate, channels and encoding; raw PCM can't tell by itself.
        stalled_after_s: how long nothing may come before that is said.
        descriptor: where to read; standard input unless told.
    """

    live = False
    epoch_s: float | None = None

    def __init__(
        self, settings: StdinSource, *, stalled_after_s: float = 2.0, descriptor: int = 0
    ) -> None:
        self.name, self._rate_hz = "standard input", settings.rate_hz
        self._decoder = PcmDecoder(settings.channels, settings.encoding)
        self._descriptor, self._stalled_after_s = descriptor, stalled_after_s
        self.facts: dict[str, str | int] = {
            "rate_hz": settings.rate_hz,
            "channels": settings.channels,
        }

    def blocks(self, stop: threading.Event) -> Iterator[Block | Outage]:
        """Samples until the writer closes its end."""
        if os.isatty(self._descriptor):
            raise RecordingError("standard input is a terminal: arecord ... | earpatch run ...")
        frames, waited_s = 0, 0.0
        while not stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], WAIT_S)
            at_s = frames / self._rate_hz
            if not ready:
                waited_s += WAIT_S
                if waited_s >= self._stalled_after_s:
                    yield Outage("stalled", f"no samples for {waited_s:.1f} s", at_s)
                continue
            waited_s = 0.0
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                return
            decoded = self._decoder.push(data)
            frames += len(decoded.samples)
            if len(decoded.samples):
                yield Block(
                    decoded.samples, self._rate_hz, at_s, clipped_share=decoded.clipped_share
                )
