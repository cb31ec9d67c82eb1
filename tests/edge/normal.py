"""Hand-made normal sound: streams of distances and levels, and thresholds that fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from edge.evidence import Evidence, Thresholds, Weighed
from edge.scales import RowStatistics, Scale
from edge.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Sequence

FloatArray = NDArray[np.float32]
Streams = tuple[FloatArray, FloatArray]  # distances and levels

ROWS, COLUMN_S = 3, 0.08
CENTRE, SPREAD = 1.0, 0.1  # of the distances
CENTRE_DB, SPREAD_DB = -40.0, 1.0
UNIT = 5.0  # joint spreads
RELEASE = 0.6
TAIL = Tail(
    block_s=1.0,
    blocks=1_000,
    levels=[0.0, 0.1, 0.2, 0.3, 0.4],
    threshold=0.3,
    share_above=0.25,
    shape=0.1,
    scale=0.05,
)


def statistics(centre: float, spread: float, rows: int) -> RowStatistics:
    return RowStatistics([centre] * rows, [spread] * rows)


def scale(
    columns: int,
    against: Literal["normal", "recent"] = "normal",
    *,
    spread: float = SPREAD,
    spread_db: float = SPREAD_DB,
    rows: int = ROWS,
) -> Scale:
    """A scale at which the alarm level is five spreads of distance and level together."""
    normal = against == "normal"
    return Scale(
        columns=columns,
        against=against,
        distance=statistics(CENTRE if normal else 0.0, spread, rows),
        level=statistics(CENTRE_DB if normal else 0.0, spread_db, rows),
        joint=statistics(0.0, 1.0, rows),
        unit=UNIT,
    )


SHORT, LONG, SLOW = scale(3), scale(37, spread=0.02, spread_db=0.2), scale(125, spread=0.01)
MOMENT, BURST = scale(1, "recent"), scale(9, "recent", spread=0.05, spread_db=0.5)


def thresholds(*scales: Scale, local: Scale = SHORT) -> Thresholds:
    return Thresholds(
        local=local,
        scales=list(scales),
        alarm=1.0,
        release=RELEASE,
        false_alarms_per_day=1.0,
        tail=TAIL,
        held_out_s=60.0,
    )


def quiet(columns: int, rows: int = ROWS) -> Streams:
    """Sound that is exactly as normal sound is in the middle."""
    shape = (columns, rows)
    return np.full(shape, CENTRE, np.float32), np.full(shape, CENTRE_DB, np.float32)


def noisy(columns: int, rows: int = ROWS, seed: int = 0) -> Streams:
    """Sound that varies as normal sound does."""
    random, shape = np.random.default_rng(seed), (columns, rows)
    distances = CENTRE + SPREAD * random.standard_normal(shape)
    levels_db = CENTRE_DB + SPREAD_DB * random.standard_normal(shape)
    return distances.astype(np.float32), levels_db.astype(np.float32)


def raised(streams: Streams, first: int, last: int, distance: float, db: float = 0.0) -> Streams:
    """With more of both in the columns from `first` to before `last` of the middle row."""
    distances, levels_db = (stream.copy() for stream in streams)
    distances[first:last, 1] += np.float32(distance)
    levels_db[first:last, 1] += np.float32(db)
    return distances, levels_db


def weighed(streams: Streams, limits: Thresholds, scales: Sequence[Scale] | None = None) -> Weighed:
    """All evidence of a sound, at once."""
    distances, levels_db = streams
    stream = Evidence(limits, [scales or limits.scales], distances.shape[1])
    return Weighed.join([*stream.push(distances, levels_db), *stream.finish()])
