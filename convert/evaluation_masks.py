"""Which cells of a clip hold the event, where the event is known apart from its background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edge.frontend import FrontEnd, LogMel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]

CELL_FRAMES, CELL_BANDS = 8, 8
MASK_FLOOR_DB = -30.0  # of the event's own loudest cell


def stem_mask(event: NDArray[np.floating[Any]], background: NDArray[np.floating[Any]]) -> Mask:
    """Cells in which the event is louder than the background. [columns, rows]."""
    event_power, background_power = _cell_power(event), _cell_power(background)
    audible = event_power > event_power.max() * 10 ** (MASK_FLOOR_DB / 10)
    return np.asarray((event_power > background_power) & audible)


def _cell_power(sound: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    front_end = FrontEnd(power_floor=1e-12, log_offset=0.0, log_scale=1.0)
    stream = LogMel(front_end)
    stream.push(sound.astype(np.float32))
    power = np.exp(stream.finish().astype(np.float64))
    columns = len(power) // CELL_FRAMES
    grid = power[: columns * CELL_FRAMES].reshape(columns, CELL_FRAMES, -1, CELL_BANDS)
    return np.asarray(grid.mean(axis=(1, 3)))
