"""The sources of sound that a configuration can ask for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from edge.capture.settings import (
    LivenessSettings,
    MicrophoneSource,
    RecordingSource,
    StdinSource,
)
from edge.capture.sound import Block, Outage
from edge.recording import read_blocks, recording_info

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from edge.capture.sound import Source

BLOCK_S = 0.1
AnySource = RecordingSource | StdinSource | MicrophoneSource


class RecordingPlayer:
    """A recording, at real speed or as fast as it goes."""

    live = False
    epoch_s: float | None = None

    def __init__(self, path: Path, *, realtime: bool) -> None:
        self._info = recording_info(path)
        self._realtime = realtime
        self.name = str(path)
        self.facts: dict[str, str | int] = {"rate_hz": self._info.rate_hz}

    def blocks(self, stop: threading.Event) -> Iterator[Block | Outage]:
        """The recording's samples."""
        started = time.monotonic()
        self.epoch_s = started if self._realtime else None
        rate_hz, sent = self._info.rate_hz, 0
        for samples in read_blocks(self._info, block_frames=round(BLOCK_S * rate_hz)):
            if stop.is_set():
                return
            block = Block(samples, rate_hz, sent / rate_hz)
            sent += len(samples)
            if self._realtime:
                stop.wait(max(0.0, started + sent / rate_hz - time.monotonic()))
            yield block


def open_source(settings: AnySource, liveness: LivenessSettings | None = None) -> Source:
    """The source that a configuration asks for.

    Raises:
        RecordingError: the recording can't be read.
        SettingsError: the microphone's name is none.
    """
    liveness = liveness or LivenessSettings()
    if isinstance(settings, RecordingSource):
        return RecordingPlayer(Path(settings.path), realtime=settings.realtime)
    if isinstance(settings, StdinSource):
        from edge.capture.pcm import PcmReader  # noqa: PLC0415

        return PcmReader(settings, stalled_after_s=liveness.stalled_after_s)
    from edge.capture.microphone import Microphone  # noqa: PLC0415

    return Microphone(settings, liveness)
