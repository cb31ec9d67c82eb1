"""How often normal sound reaches a score: a counted part, and a fitted tail beyond it.

Peaks over a threshold follow a generalised Pareto distribution (Pickands, 1975; Coles, *An
Introduction to Statistical Modeling of Extreme Values*, 2001, ch. 4).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

DAY_S = 86_400.0
RAREST_PER_DAY = 1e-6  # once in 3,000 years: nothing that was heard could tell it from never


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The largest scores of blocks of normal sound, one independent sample a block."""

    block_s: float
    blocks: int
    levels: list[float]  # scores of evenly spaced shares of the blocks, rising to the threshold
    threshold: float  # scores above it follow the fitted tail
    share_above: float  # of the blocks
    shape: float
    scale: float

    def per_day(self, score: float) -> float:
        """How often in a day normal sound is expected to reach a score."""
        return max(RAREST_PER_DAY, self._share_reaching(score) * DAY_S / self.block_s)

    def level_of(self, per_day: float) -> float:
        """The score that normal sound reaches so often in a day."""
        return self.level_reached_by(per_day * self.block_s / DAY_S)

    def level_reached_by(self, share: float) -> float:
        """The score that such a share of the blocks reaches."""
        if share >= self.share_above:
            return float(np.interp(1.0 - share, self._shares_below(), self.levels))
        ratio = self.share_above / share
        if self.shape == 0:
            return self.threshold + self.scale * math.log(ratio)
        return self.threshold + self.scale * (math.pow(ratio, self.shape) - 1) / self.shape

    def is_extrapolated(self, per_day: float) -> bool:
        """Whether so rare a score lies beyond what was heard."""
        return per_day * self.block_s * self.blocks / DAY_S < 1

    def _share_reaching(self, score: float) -> float:
        if score < self.threshold:
            return 1.0 - float(np.interp(score, self.levels, self._shares_below()))
        excess = (score - self.threshold) / self.scale
        if self.shape == 0:
            return self.share_above * math.exp(-excess)
        return self.share_above * math.pow(1 + self.shape * excess, -1 / self.shape)

    def _shares_below(self) -> NDArray[np.float64]:
        return np.linspace(0.0, 1.0 - self.share_above, len(self.levels))
