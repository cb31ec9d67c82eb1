"""What levels and evidence look like.

Pictures are light, so that they can be printed: what is quiet or normal is white. Evidence below
the alarm level is grey, and has colour from there on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]
    Pixels = NDArray[np.uint8]  # [columns, rows, 3], the lowest row first

ALARM_SHADE, FULL_EVIDENCE = 0.4, 8.0  # where colour begins, and where it ends
SHADES = 56  # of each kind; all of them together fit into one palette
SOUND_COLOURS = ((255, 255, 255), (198, 219, 239), (107, 174, 214), (33, 113, 181), (8, 38, 92))
NORMAL_COLOURS = ((255, 255, 255), (190, 190, 190))
INK, OUTLINE, PAPER = (20, 20, 20), (214, 0, 80), (255, 255, 255)
ALARM_COLOURS = ((254, 196, 79), (240, 101, 30), (180, 20, 38), (85, 0, 25))


class Legend(NamedTuple):
    """What the colours mean: a strip of them between two words."""

    low: str
    pixels: Pixels  # [columns, 1, 3]
    high: str


def sound_colours(levels_db: FloatArray, low_db: float, high_db: float) -> Pixels:
    """Levels between two bounds, from white to dark blue. [columns, rows]."""
    shares = np.clip((levels_db - low_db) / max(high_db - low_db, 1e-6), 0, 1)
    return _blend(np.round(shares * SHADES) / SHADES, SOUND_COLOURS)


def evidence_colours(evidence: FloatArray) -> Pixels:
    """Evidence: grey below the alarm level of 1, in colour from there on. [columns, rows]."""
    normal = _blend(np.round(np.clip(evidence, 0, 1) * SHADES) / SHADES, NORMAL_COLOURS)
    loud = np.log(np.maximum(evidence, 1.0)) / np.float32(np.log(FULL_EVIDENCE))
    alarm = _blend(np.round(np.minimum(loud, 1) * SHADES) / SHADES, ALARM_COLOURS)
    return np.where((evidence >= 1)[..., None], alarm, normal)


def sound_legend(low_db: float, high_db: float) -> Legend:
    """How many decibels lie between white and dark."""
    strip = sound_colours(np.linspace(0, 1, SHADES, dtype=np.float32)[:, None], 0, 1)
    return Legend("quiet", strip, f"+{high_db - low_db:.0f} dB")


def evidence_legend() -> Legend:
    """Grey up to the alarm level, then colours."""
    normal = np.linspace(0, 0.99, round(SHADES * ALARM_SHADE))
    alarm = np.geomspace(1, FULL_EVIDENCE, SHADES - len(normal))
    strip = np.concatenate([normal, alarm]).astype(np.float32)[:, None]
    return Legend("0", evidence_colours(strip), f"{FULL_EVIDENCE:g}+")


def palette() -> NDArray[np.int32]:
    """All colours that a picture needs, its own and those of its text. [256, 3]."""
    steps = np.linspace(0, 1, SHADES + 1, dtype=np.float32)
    kinds = [_blend(steps, colours) for colours in (SOUND_COLOURS, NORMAL_COLOURS, ALARM_COLOURS)]
    edges = np.linspace(0, 1, (256 - sum(map(len, kinds))) // 2, dtype=np.float32)
    kinds += [_blend(edges, (ink, PAPER)) for ink in (INK, OUTLINE)]
    table = np.zeros((256, 3), np.int32)
    flat = np.concatenate(kinds)
    table[: len(flat)] = flat
    return table


def _blend(shares: FloatArray, colours: Sequence[tuple[int, int, int]]) -> Pixels:
    places = np.linspace(0, 1, len(colours))
    table = np.asarray(colours, np.float64)
    channels = [np.interp(shares, places, table[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)
