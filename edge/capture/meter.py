"""A level meter on a terminal: does it hear, and how loud?"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge.capture.capture import InputStatus

WIDTH = 40
FLOOR_DBFS = -80.0
EVERY_S = 0.2
EVERY_LINE_S = 5.0  # where there is no terminal


class Meter:
    """Shows the state and the level of an input, on stderr."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self._shown_s = 0.0
        self._state = ""

    def show(self, status: InputStatus, progress: str = "") -> None:
        """Show it, if it is time to."""
        now = time.monotonic()
        changed = status.state != self._state
        if not changed and now - self._shown_s < (EVERY_S if self._terminal else EVERY_LINE_S):
            return
        self._shown_s, self._state = now, status.state
        line = meter_line(status, progress)
        if self._terminal:
            sys.stderr.write(f"\r\x1b[2K{line}")
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._terminal and self._state:
            sys.stderr.write("\n")


def meter_line(status: InputStatus, progress: str = "") -> str:
    """One line: state, level as a bar and as a number, and why nothing is heard."""
    level = status.level_dbfs
    share = 0.0 if level is None else (level - FLOOR_DBFS) / -FLOOR_DBFS
    bar = "#" * round(WIDTH * min(1.0, max(0.0, share)))
    number = "   -inf" if level is None else f"{level:7.1f}"
    reason = f"  {status.reason}" if status.reason and status.state != "hearing" else ""
    return f"{status.state:10} |{bar:{WIDTH}}| {number} dBFS{progress}{reason}"
