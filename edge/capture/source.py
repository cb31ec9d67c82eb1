"""Where sound comes from: a recording, or raw PCM on standard input; a microphone later.

A source fills a ring from a thread of its own, so that scoring never waits inside a read.
"""

from __future__ import annotations

import os
import select
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from edge.capture.ring import SampleRing
from edge.capture.settings import RecordingSource, StdinSource
from edge.errors import EarpatchError, RecordingError
from edge.recording import MAX_SAMPLE, read_blocks, recording_info

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

BLOCK_S = 0.1
RING_S = 4.0
WAIT_S = 0.5  # longest wait before a reader looks whether it should stop
READ_BYTES = 65_536

_ENCODINGS: dict[str, tuple[np.dtype[Any], float]] = {
    "s16le": (np.dtype("<i2"), 1.0 / 32_768),
    "s32le": (np.dtype("<i4"), 1.0 / 2**31),
    "f32le": (np.dtype("<f4"), 1.0),
}


class Source(Protocol):
    """Mono sound at one rate. `blocks` yields nothing for a while when there is nothing yet."""

    name: str
    rate_hz: int

    def blocks(self, stop: threading.Event) -> Iterator[FloatArray]:
        """Blocks of mono float32 samples until the sound ends or `stop` is set."""
        ...


class RecordingPlayer:
    """A recording, at real speed or as fast as it goes."""

    def __init__(self, path: Path, *, realtime: bool) -> None:
        self._info = recording_info(path)
        self._realtime = realtime
        self.name, self.rate_hz = str(path), self._info.rate_hz

    def blocks(self, stop: threading.Event) -> Iterator[FloatArray]:
        """The recording's samples."""
        started = time.monotonic()
        sent = 0
        for block in read_blocks(self._info, block_frames=round(BLOCK_S * self.rate_hz)):
            if stop.is_set():
                return
            sent += len(block)
            if self._realtime:
                stop.wait(max(0.0, started + sent / self.rate_hz - time.monotonic()))
            yield block


class PcmReader:
    """Raw interleaved PCM from a file descriptor, downmixed to mono.

    Args:
        settings: rate, channels and encoding; raw PCM can't tell by itself.
        descriptor: where to read; standard input unless told.
    """

    def __init__(self, settings: StdinSource, descriptor: int = 0) -> None:
        self.name, self.rate_hz = "standard input", settings.rate_hz
        self._dtype, self._full_scale = _ENCODINGS[settings.encoding]
        self._channels = settings.channels
        self._descriptor = descriptor

    def blocks(self, stop: threading.Event) -> Iterator[FloatArray]:
        """Samples until the writer closes its end."""
        if os.isatty(self._descriptor):
            raise RecordingError("standard input is a terminal: arecord ... | earpatch run ...")
        frame_bytes = self._channels * self._dtype.itemsize
        pending = b""
        while not stop.is_set():
            ready, _, _ = select.select([self._descriptor], [], [], WAIT_S)
            if not ready:
                continue
            data = os.read(self._descriptor, READ_BYTES)
            if not data:
                return
            pending += data
            whole = len(pending) - len(pending) % frame_bytes
            yield self._decode(pending[:whole])
            pending = pending[whole:]

    def _decode(self, data: bytes) -> FloatArray:
        frames = np.frombuffer(data, self._dtype).reshape(-1, self._channels)
        with np.errstate(invalid="ignore"):  # infinities of both signs
            mono = frames.mean(axis=1, dtype=np.float64) * self._full_scale
        mono[~(np.abs(mono) <= MAX_SAMPLE)] = 0.0  # a stream can't be refused for one bad sample
        return np.asarray(mono, dtype=np.float32)


def open_source(settings: RecordingSource | StdinSource) -> Source:
    """The source that a configuration asks for.

    Raises:
        RecordingError: the recording can't be read.
    """
    if isinstance(settings, RecordingSource):
        return RecordingPlayer(Path(settings.path), realtime=settings.realtime)
    return PcmReader(settings)


class Capture:
    """Runs a source in a thread that fills a ring; use it as a context manager."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.ring = SampleRing(round(RING_S * source.rate_hz))
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.ring.close()
        self._thread.join(timeout=4 * WAIT_S)

    def read(self, *, timeout_s: float = WAIT_S) -> FloatArray | None:
        """The next samples; an empty array when none came in time; None when the sound ended.

        Raises:
            EarpatchError: what the source failed with.
        """
        block_samples = round(BLOCK_S * self._source.rate_hz)
        samples = self.ring.read(at_most=block_samples, timeout_s=timeout_s)
        if samples is None and self._failure is not None:
            if isinstance(self._failure, EarpatchError):
                raise self._failure
            raise RecordingError(f"{self._source.name}: {self._failure}") from self._failure
        return samples

    def _run(self) -> None:
        try:
            for block in self._source.blocks(self._stop):
                offered = 0
                while offered < len(block) and not self._stop.is_set():
                    offered += self._offer(block[offered:])
        except Exception as error:  # noqa: BLE001  (handed to the reader, who raises it)
            self._failure = error
        finally:
            self.ring.close()

    def _offer(self, samples: FloatArray) -> int:
        """A file and a pipe can wait, so nothing is dropped: offer only what fits."""
        count = self.ring.wait_for_room(timeout_s=WAIT_S)
        return self.ring.write(samples[:count])
