"""A clip as a FLAC file, in memory: libsndfile doesn't say when a disk is full, Python does."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import soundfile

from edge import __version__
from edge.clips.names import ulid_utc

if TYPE_CHECKING:
    from edge.clips.clip import Clip


def flac_bytes(clip: Clip) -> bytes:
    """Mono, 16 bit, with what it holds in its tags."""
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", clip.rate_hz, 1, "PCM_16", format="FLAC") as file:
        file.title = f"{clip.input} {clip.event_id}"
        file.date = f"{ulid_utc(clip.event_id):%Y-%m-%dT%H:%M:%SZ}"
        file.software = f"earpatch {__version__}"
        file.comment = comment(clip)
        file.write(clip.sound())
    return buffer.getvalue()


def comment(clip: Clip) -> str:
    """Where the event is in the clip, where the clip is in the stream, and what is missing."""
    box, start_s = clip.box, clip.start_s
    words = [
        f"event {box.start_s - start_s:.2f}-{box.end_s - start_s:.2f} s, "
        f"{box.low_hz:.0f}-{box.high_hz:.0f} Hz",
        f"begins at {start_s:.2f} s of the stream",
    ]
    for end_s, begin_s in clip.breaks_s():
        missing = f"no sound {end_s:.2f}-{begin_s:.2f} s" if begin_s > end_s else f"cut {end_s:.2f}"
        words.append(missing)
    return "; ".join(words)
