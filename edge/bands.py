"""Which mel bands an event fills: those that are louder than normal.

A backbone sees farther than the row that it answers for, so rows with evidence reach beyond an
event; the spectrum itself tells where it ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

AUDIBLE_DB = 3.0  # above normal: then the loud bands tell a box's frequencies
LOUD_SHARE = 0.35  # of the loudest band's decibels above normal
GAP_BANDS = 4  # between loud bands of one box


def loud_bands(
    excess_db: NDArray[np.float32], rows: tuple[int, int], margin: int
) -> tuple[int, int, int]:
    """The run of loud bands around the loudest one.

    Args:
        excess_db: level above normal, [bands], averaged over the event.
        rows: the bands, from the first to before the last, that the rows with evidence cover.
        margin: bands beyond these in which the event may reach.

    Returns:
        The first band, the one after the last, and the loudest.
    """
    first = max(0, rows[0] - margin)
    loud = excess_db[first : rows[1] + margin]
    peak = int(loud.argmax())
    loudest_db = float(loud[peak])
    if loudest_db < AUDIBLE_DB:
        return (*rows, first + peak)
    inside = loud >= max(loudest_db * LOUD_SHARE, AUDIBLE_DB / 2)
    end = _run_end(inside, peak)
    start = len(inside) - _run_end(inside[::-1], len(inside) - 1 - peak)
    return first + start, first + end, first + peak


def _run_end(inside: NDArray[np.bool_], at: int) -> int:
    """Where the run around `at` ends, over gaps of up to `GAP_BANDS`."""
    end = at + 1
    for i in range(at + 1, len(inside)):
        if inside[i]:
            end = i + 1
        elif i - end >= GAP_BANDS:
            break
    return end
