"""Choosing golden windows: normal sound from all over the calibration, and one with a fault in it.

See `edge.golden` for what they are good for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.embedding import Windows
from edge.golden_file import GoldenWindows
from edge.recording import read_part
from edge.synthetic_fault import SyntheticFault, with_fault

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibration.survey import Piece, Survey
    from edge.backbone import Backbone
    from edge.frontend import FrontEnd
    from edge.nearest import Bank

    FloatArray = NDArray[np.float32]

NORMAL_WINDOWS = 6
READ_WINDOWS = 2  # what is read for one, in windows: a fault needs sound around it
FAULT_DB = 20.0


def choose_golden(
    heard: Survey, backbone: Backbone, front_end: FrontEnd, bank: Bank, rows: int
) -> GoldenWindows:
    """Evenly spaced windows of all normal sound; the last one is disturbed.

    Args:
        heard: the normal sound.
        backbone: on the runtime that measures the thresholds.
        front_end: with the site's gain.
        bank: the one of the bundle.
        rows: of the map, from the lowest, that are scored.

    Raises:
        RecordingError: a recording has become unreadable.
    """
    length_s = READ_WINDOWS * backbone.info.window_frames * front_end.frame_s
    parts = [_part(*place, length_s) for place in _places(heard, NORMAL_WINDOWS, length_s)]
    sound, rate_hz = parts[-1]
    parts.append((_disturbed(sound, rate_hz, heard.limit_hz), rate_hz))
    inputs = [
        backbone.quantise(_window(sound, rate_hz, front_end, backbone, heard.limit_hz))
        for sound, rate_hz in parts
    ]
    embeddings = np.stack([backbone.embed_quantised(window) for window in inputs])
    scored = np.ascontiguousarray(embeddings[:, :, :rows])
    squared, nearest = bank.nearest(scored.reshape(-1, scored.shape[-1]))
    cells = scored.shape[:3]
    return GoldenWindows(
        np.stack(inputs), embeddings, squared.reshape(cells), nearest.reshape(cells)
    )


def _places(heard: Survey, count: int, length_s: float) -> list[tuple[Piece, float]]:
    """Pieces, and the second in each, from which windows are taken."""
    pieces = heard.pieces
    ends_s = np.cumsum([piece.duration_s for piece in pieces])
    places = []
    for middle_s in (np.arange(count) + 0.5) / count * ends_s[-1]:
        index = min(int(np.searchsorted(ends_s, middle_s, side="right")), len(pieces) - 1)
        piece = pieces[index]
        at_s = middle_s - (ends_s[index] - piece.duration_s) - length_s / 2
        places.append((piece, float(np.clip(at_s, 0.0, max(0.0, piece.duration_s - length_s)))))
    return places


def _part(piece: Piece, start_s: float, length_s: float) -> tuple[FloatArray, int]:
    count = min(round(length_s * piece.rate_hz), piece.end - piece.start)
    return read_part(piece.recording, piece.start + round(start_s * piece.rate_hz), count), (
        piece.rate_hz
    )


def _disturbed(sound: FloatArray, rate_hz: int, limit_hz: float) -> FloatArray:
    """A hiss in the second third, over an octave and more in the middle of what is heard."""
    duration_s = len(sound) / rate_hz
    fault = SyntheticFault(
        "hiss", duration_s / 6, duration_s / 3, limit_hz / 8, limit_hz / 2, FAULT_DB
    )
    return with_fault(sound, rate_hz, fault)


def _window(
    sound: FloatArray, rate_hz: int, front_end: FrontEnd, backbone: Backbone, limit_hz: float
) -> FloatArray:
    windows = Windows(front_end, backbone.info, rate_hz=rate_hz, limit_hz=limit_hz)
    complete = windows.push(sound)
    return complete[0] if complete else windows.finish()[0][0]
