"""A clip as a picture: its log-mel spectrogram, and the event's box in it.

Time is counted from the clip's start, as a player counts it. Grey is where no sound came.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.capture.sound import level_dbfs
from edge.clips.names import ulid_utc
from edge.clips.recent import FULL_SCALE
from edge.frontend import FrontEnd, band_edges_hz
from edge.pictures.colours import NORMAL_COLOURS, sound_colours, sound_legend
from edge.pictures.images import Axes, Layer, Outline, Sheet, largest
from edge.pictures.spectrograms import Spectrogram, log_mel_db

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.clips.clip import Clip
    from edge.clips.recent import Piece
    from edge.pictures.colours import Pixels

    FloatArray = NDArray[np.float32]

WIDTH_PX, TEXT_PX, BAND_PX = 900, 16, 3
MOST_COLUMNS = 800
TARGET_DBFS, MOST_GAIN_DB = -20.0, 60.0  # so that no floor shows, however quiet the machine


def clip_picture(clip: Clip) -> bytes:
    """A PNG."""
    loudest = max(level_dbfs(part) for piece in clip.pieces for part in _as_float(piece))
    gain_db = float(np.clip(TARGET_DBFS - loudest, 0.0, MOST_GAIN_DB))
    front_end = msgspec.structs.replace(FrontEnd(), gain_db=gain_db)
    edges_hz = band_edges_hz(front_end)
    limit_hz = max(piece.rate_hz for piece in clip.pieces) / 2
    bands = int(np.count_nonzero(edges_hz[:-1] < limit_hz))
    levels_db = _levels_db(clip, front_end)[:, :bands]
    duration_s = clip.end_s - clip.start_s
    sheet = Sheet(WIDTH_PX, TEXT_PX)
    sheet.write(f"{clip.input}  {ulid_utc(clip.event_id):%Y-%m-%d %H:%M:%S} UTC", 1.4)
    sheet.write(f"Event {clip.event_id}, {_place(clip)}")
    low_db, high_db = _bounds_db(levels_db, duration_s)
    sheet.panel(
        "Sound",
        Layer(_colours(levels_db, low_db, high_db), 0.0, duration_s),
        Axes(0.0, duration_s, float(edges_hz[0]), float(edges_hz[bands])),
        height_px=BAND_PX * bands,
        outlines=[_outline(clip)],
        legend=sound_legend(low_db, high_db),
    )
    return sheet.png()


def _place(clip: Clip) -> str:
    box = clip.box
    return (
        f"{box.start_s:.1f}-{box.end_s:.1f} s of the stream, {box.low_hz:.0f}-{box.high_hz:.0f} Hz"
    )


def _outline(clip: Clip) -> Outline:
    box, start_s = clip.box, clip.start_s
    return Outline(box.start_s - start_s, box.end_s - start_s, box.low_hz, box.high_hz)


def _as_float(piece: Piece) -> Iterator[FloatArray]:
    """A piece at full scale 1.0, a second at a time."""
    for start in range(0, len(piece.samples), piece.rate_hz):
        part = piece.samples[start : start + piece.rate_hz]
        yield np.divide(part, FULL_SCALE, dtype=np.float32)


def _levels_db(clip: Clip, front_end: FrontEnd) -> FloatArray:
    """Levels over the whole clip, [columns, mel_bands]; NaN where no sound came."""
    frame_s = front_end.frame_s
    columns = max(1, round((clip.end_s - clip.start_s) / frame_s))
    levels_db = np.full((columns, front_end.mel_bands), np.nan, np.float32)
    for piece in clip.pieces:
        place = round((piece.at_s - clip.start_s) / frame_s)
        for frames in log_mel_db(_as_float(piece), piece.rate_hz, front_end, piece.rate_hz / 2):
            room = levels_db[place : place + len(frames)]
            room[:] = frames[: len(room)]
            place += len(frames)
    return largest(levels_db, MOST_COLUMNS)


def _bounds_db(levels_db: FloatArray, duration_s: float) -> tuple[float, float]:
    heard = levels_db[~np.isnan(levels_db[:, 0])]
    if not len(heard):
        return 0.0, 1.0
    return Spectrogram(heard, 0.0, duration_s).bounds_db()


def _colours(levels_db: FloatArray, low_db: float, high_db: float) -> Pixels:
    missing = np.isnan(levels_db)
    colours = sound_colours(np.where(missing, low_db, levels_db), low_db, high_db)
    colours[missing] = NORMAL_COLOURS[-1]
    return colours
