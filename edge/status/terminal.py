"""What a terminal can show: its size, and how many colours it has."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8]

Colours = Literal["true", "256", "none"]

ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # other screen, no cursor; back
HOME, CLEAR_LINE, CLEAR_BELOW, RESET = "\x1b[H", "\x1b[K", "\x1b[J", "\x1b[0m"
UPPER_HALF = "\u2580"
CUBE = 5  # of xterm's 256 colours: 6 steps of each


class Look(msgspec.Struct, frozen=True):
    """How much room there is, and with how many colours."""

    columns: int
    lines: int
    colours: Colours


def look_of(stream: TextIO, environment: Mapping[str, str] = os.environ) -> Look:
    """The terminal as it is now."""
    size = shutil.get_terminal_size()
    return Look(size.columns, size.lines, _colours(stream.encoding or "ascii", environment))


def _colours(encoding: str, environment: Mapping[str, str]) -> Colours:
    term = environment.get("TERM", "dumb")
    if term == "dumb" or environment.get("NO_COLOR") or "utf" not in encoding.lower():
        return "none"
    if environment.get("COLORTERM", "") in {"truecolor", "24bit"}:
        return "true"
    return "256" if "256" in term else "none"


def coloured_lines(pixels: Pixels, colours: Colours) -> list[str]:
    """Pixels, [columns, rows, 3] with the lowest row first: two rows of them in each line."""
    if pixels.shape[1] % 2:
        pixels = np.concatenate([pixels, pixels[:, -1:]], axis=1)
    turned = pixels.transpose(1, 0, 2)[::-1]
    return [_line(turned[i], turned[i + 1], colours) for i in range(0, len(turned), 2)]


def _line(upper: Pixels, lower: Pixels, colours: Colours) -> str:
    parts, before = [], ""
    for above, below in zip(upper, lower, strict=True):
        code = f"\x1b[38;{_code(above, colours)};48;{_code(below, colours)}m"
        parts.append(UPPER_HALF if code == before else code + UPPER_HALF)
        before = code
    return "".join(parts) + RESET


def _code(pixel: Pixels, colours: Colours) -> str:
    red, green, blue = (int(channel) for channel in pixel)
    if colours == "true":
        return f"2;{red};{green};{blue}"
    red, green, blue = (round(channel * CUBE / 255) for channel in (red, green, blue))
    return f"5;{16 + 36 * red + 6 * green + blue}"
