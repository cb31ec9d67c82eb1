"""The last twenty seconds of an input: levels and evidence, coarse, in bounded memory."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import numpy as np

from edge.status.snapshot import EVIDENCE_STEPS, LEVELS, UNKNOWN, Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

KEPT_S, SCORED_S = 20.0, 1.0
MOST_COLUMNS = 84
NARROWEST_DB = 30.0  # quiet sound isn't stretched to look loud


class Recent:
    """What one stretch of sound looks like; evidence comes some columns after the levels.

    Args:
        column_s: duration of a column that is added.
        row_edges_hz: frequency edges of the map's rows.
    """

    def __init__(self, column_s: float, row_edges_hz: Sequence[float]) -> None:
        self.row_edges_hz = [round(float(edge), 1) for edge in row_edges_hz]
        each = max(1, int(np.ceil(KEPT_S / column_s / MOST_COLUMNS)))
        self.column_s = each * column_s
        self._levels, self._evidence = _Pool(each), _Pool(each)

    def add(self, levels_db: FloatArray, evidence: FloatArray) -> None:
        """Take in the next columns of each, [n, rows]; they may be as many or not."""
        self._levels.add(levels_db)
        self._evidence.add(evidence)

    def score(self) -> float | None:
        """The largest evidence of the last second that was weighed."""
        last = list(self._evidence.columns)[-max(1, round(SCORED_S / self.column_s)) :]
        return round(float(np.max(last)), 3) if last else None

    def picture(self) -> Picture | None:
        """As it is now; None while there is nothing."""
        if not self._levels.columns:
            return None
        levels_db = np.stack(self._levels.columns)
        columns, rows = levels_db.shape
        low_db, high_db = float(levels_db.min()), float(levels_db.max())
        high_db = max(high_db, low_db + NARROWEST_DB)
        steps = np.rint((levels_db - low_db) * (LEVELS / (high_db - low_db)))
        return Picture(
            columns=columns,
            rows=rows,
            column_s=round(self.column_s, 4),
            row_edges_hz=self.row_edges_hz,
            low_db=round(low_db, 2),
            high_db=round(high_db, 2),
            levels=steps.astype(np.uint8).tobytes(),
            evidence=self._known(columns, rows).tobytes(),
        )

    def _known(self, columns: int, rows: int) -> NDArray[np.uint8]:
        """Evidence beside the levels of the same time."""
        first = self._levels.count - columns  # number of the picture's first column
        cells = np.full((columns, rows), UNKNOWN, np.uint8)
        start = self._evidence.count - len(self._evidence.columns)
        for number, column in enumerate(self._evidence.columns, start):
            if 0 <= number - first < columns:
                cells[number - first] = np.clip(np.rint(column * EVIDENCE_STEPS), 0, UNKNOWN - 1)
        return cells


class _Pool:
    """The largest of so many neighbouring columns each, the newest of them."""

    def __init__(self, each: int) -> None:
        self.columns: deque[FloatArray] = deque(maxlen=MOST_COLUMNS)
        self.count = 0  # that were there so far
        self._each, self._rest = each, list[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]()

    def add(self, columns: FloatArray) -> None:
        for column in columns:
            self._rest.append(column)
            if len(self._rest) == self._each:
                self.columns.append(np.max(self._rest, axis=0))
                self.count += 1
                self._rest.clear()
