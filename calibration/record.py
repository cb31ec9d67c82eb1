"""Recording normal sound from a microphone, for calibration: sound without a hole in each file."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import soundfile

from edge.capture.capture import Capture
from edge.capture.files import StretchFiles
from edge.capture.meter import Meter
from edge.capture.microphone import Microphone
from edge.errors import EarpatchError, RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from edge.capture.settings import LivenessSettings, MicrophoneSource

UNHEARD_S = 60.0  # a microphone that isn't heard for so long ends the recording
READ_S = 0.1


@dataclass(frozen=True)
class Recorded:
    """What was recorded, and with which microphone."""

    folder: Path
    duration_s: float
    microphone: str


def record(
    source: MicrophoneSource, liveness: LivenessSettings, seconds: float, folder: Path
) -> Recorded:
    """Record so many seconds of sound that is heard, into FLAC files in a new folder.

    A hole in the sound ends a file and begins another. What was recorded stays, whatever happens.

    Raises:
        RecordingError: the microphone was not heard for a minute; says in which state it was.
        EarpatchError: the folder can't be written.
    """
    files = StretchFiles(folder / f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}")
    microphone, meter = Microphone(source, liveness), Meter()
    try:
        files.folder.mkdir(parents=True)
        with Capture(microphone, liveness) as capture, files:
            heard_at = time.monotonic()
            while files.duration_s < seconds:
                block = capture.read(timeout_s=READ_S)
                meter.show(capture.status, f"  {files.duration_s:.0f} of {seconds:.0f} s")
                if block is not None:
                    heard_at = time.monotonic()
                    files.write(block)
                elif time.monotonic() - heard_at > UNHEARD_S:
                    raise RecordingError(_unheard(capture, files))
    except (OSError, soundfile.LibsndfileError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EarpatchError(f"{files.folder}: can't be recorded there ({reason})") from None
    finally:
        meter.end()
    return Recorded(files.folder, files.duration_s, microphone.identity or "")


def _unheard(capture: Capture, files: StretchFiles) -> str:
    status = capture.status
    kept = f"; {files.duration_s:.0f} s are kept in {files.folder}" if files.files else ""
    return (
        f"{capture.source.name}: {status.state} for a minute: {status.reason}{kept}. See "
        "'earpatch devices --meter'"
    )
