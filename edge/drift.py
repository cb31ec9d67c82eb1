"""Whether the calibration still fits: a slow departure of normal sound, told apart from alarms.

Every ten seconds one block of sound is asked whether its score lies among the highest quarter of
what calibration heard. As long as that is so no more than half of the time, the wager against it
gains nothing on average; so the Shiryaev-Roberts sum of such wagers reaches `1 year / 10 s` by
chance no more than once a year (test martingales for change detection: Vovk et al., *Retrain or not
retrain*, COPA 2021). The quarter that may become a half is what a short calibration may be off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.tail import Tail

STEP_S = 10.0
FALSE_ALARM_S = 365 * 86_400.0  # mean time to an unfounded "ageing"
HIGH_SHARE, TOLERATED_SHARE = 0.25, 0.5
STAKES = (0.3, 0.8, 1.6)
RECOVERY_STEPS, RECOVERED_SHARE = 180, 0.35  # half an hour of ordinary sound


class Drift:
    """Watches the scores of one stream.

    Args:
        tail: what calibration says of them.
        column_s: duration of a column.
    """

    def __init__(self, tail: Tail, column_s: float) -> None:
        self.ageing = False
        self._high = tail.level_reached_by(HIGH_SHARE)
        self._step = round(STEP_S / column_s)
        self._block = max(1, min(self._step, round(tail.block_s / column_s)))
        self._limit = FALSE_ALARM_S / STEP_S
        self._sums = np.zeros(len(STAKES))
        self._recent: list[bool] = []
        self._column = 0
        self._largest = -np.inf

    def push(self, scores: NDArray[np.floating[Any]]) -> None:
        """The largest evidence of each column, [n]."""
        for score in scores:
            if self._column < self._block:
                self._largest = max(self._largest, float(score))
            self._column += 1
            if self._column == self._step:
                self._weigh(high=self._largest >= self._high)
                self._column, self._largest = 0, -np.inf

    def _weigh(self, *, high: bool) -> None:
        self._recent = [*self._recent[1 - RECOVERY_STEPS :], high]
        gains = 1.0 + np.asarray(STAKES) * (high - TOLERATED_SHARE)
        self._sums = (1.0 + self._sums) * gains
        if not self.ageing:
            self.ageing = bool(self._sums.mean() >= self._limit)
        elif len(self._recent) == RECOVERY_STEPS and np.mean(self._recent) <= RECOVERED_SHARE:
            self.ageing = False
            self._sums[:] = 0.0
