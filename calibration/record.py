"""Recording normal sound from a microphone, for calibration: sound without a hole in each file."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import soundfile

from edge.capture.capture import Capture
from edge.capture.meter import Meter
from edge.capture.microphone import Microphone
from edge.errors import EarpatchError, RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from edge.capture.settings import LivenessSettings, MicrophoneSource
    from edge.capture.sound import Block

UNHEARD_S = 60.0  # a microphone that isn't heard for so long ends the recording
READ_S = 0.1
SUBTYPE = "PCM_24"


@dataclass
class Recorded:
    """What was recorded, and with which microphone."""

    folder: Path
    files: list[Path] = field(default_factory=list)
    duration_s: float = 0.0
    microphone: str = ""


def record(
    source: MicrophoneSource, liveness: LivenessSettings, seconds: float, folder: Path
) -> Recorded:
    """Record so many seconds of sound that is heard, into FLAC files in a new folder.

    A hole in the sound ends a file and begins another. What was recorded stays, whatever happens.

    Raises:
        RecordingError: the microphone was not heard for a minute; says in which state it was.
        EarpatchError: the folder can't be written.
    """
    recorded = Recorded(folder / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    microphone, meter = Microphone(source, liveness), Meter()
    try:
        recorded.folder.mkdir(parents=True)
        with Capture(microphone, liveness) as capture, _Files(recorded) as files:
            heard_at = time.monotonic()
            while recorded.duration_s < seconds:
                block = capture.read(timeout_s=READ_S)
                meter.show(capture.status, f"  {recorded.duration_s:.0f} of {seconds:.0f} s")
                if block is not None:
                    heard_at = time.monotonic()
                    files.write(block)
                elif time.monotonic() - heard_at > UNHEARD_S:
                    raise RecordingError(_unheard(capture, recorded))
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EarpatchError(f"{recorded.folder}: can't be recorded there ({reason})") from None
    finally:
        meter.end()
    recorded.microphone = microphone.identity or ""
    return recorded


def _unheard(capture: Capture, recorded: Recorded) -> str:
    status = capture.status
    kept = f"; {recorded.duration_s:.0f} s are kept in {recorded.folder}" if recorded.files else ""
    return (
        f"{capture.source.name}: {status.state} for a minute: {status.reason}{kept}. See "
        "'earpatch devices --meter'"
    )


class _Files:
    """One file a stretch of sound; use it as a context manager."""

    def __init__(self, recorded: Recorded) -> None:
        self._recorded = recorded
        self._file: soundfile.SoundFile | None = None

    def __enter__(self) -> _Files:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, block: Block) -> None:
        if block.cut or self._file is None or self._file.samplerate != block.rate_hz:
            self.__exit__()
            path = self._recorded.folder / f"{len(self._recorded.files):03d}.flac"
            self._file = soundfile.SoundFile(
                path, "w", samplerate=block.rate_hz, channels=1, format="FLAC", subtype=SUBTYPE
            )
            self._recorded.files.append(path)
        self._file.write(block.samples.clip(-1.0, 1.0))
        self._recorded.duration_s += block.duration_s
