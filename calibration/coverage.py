"""How well the bank covers normal sound that it does not hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calibration.scale_fit import Segment

BINS, MOST_RADII = 40, 2.0


def coverage_of(segments: Sequence[Segment], cover_radius: float) -> list[int]:
    """Held-out cells by their distance: `BINS` bins from 0 to `MOST_RADII` cover radii.

    The last bin holds what is farther away, too. A bank that holds everything it heard has a
    radius of 0; distances are counted in steps of 1 then.
    """
    unit = cover_radius if cover_radius > 0 else 1.0
    counts = np.zeros(BINS, np.int64)
    for segment in segments:
        places = segment.distances.ravel() / unit * (BINS / MOST_RADII)
        counts += np.bincount(np.minimum(places, BINS - 1).astype(np.int64), minlength=BINS)
    return [int(count) for count in counts]


def uncovered_share(counts: Sequence[int]) -> float:
    """The share of cells that lie farther away than the cover radius."""
    inside = round(BINS / MOST_RADII)
    return sum(counts[inside:]) / max(1, sum(counts))
