"""The bands of an event are those that are louder than normal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.bands import AUDIBLE_DB, GAP_BANDS, LOUD_SHARE, loud_bands

if TYPE_CHECKING:
    from numpy.typing import NDArray

BANDS, MARGIN = 64, 8


def quiet() -> NDArray[np.float32]:
    return np.zeros(BANDS, np.float32)


def loud(first: int, end: int, level_db: float = 20.0) -> NDArray[np.float32]:
    levels = quiet()
    levels[first:end] = level_db
    return levels


def test_a_box_is_as_wide_as_its_loud_bands_and_not_as_its_rows() -> None:
    assert loud_bands(loud(20, 23), (8, 40), MARGIN) == (20, 23, 20)


def test_loud_bands_just_beyond_the_rows_belong_to_the_box() -> None:
    assert loud_bands(loud(14, 18), (16, 24), MARGIN) == (14, 18, 14)


def test_loud_bands_far_from_the_rows_are_another_matter() -> None:
    levels = loud(18, 20, 10.0) + loud(50, 60, 30.0)
    assert loud_bands(levels, (16, 24), MARGIN) == (18, 20, 18)


def test_a_box_without_loud_bands_keeps_its_rows() -> None:
    levels = loud(18, 20, AUDIBLE_DB - 0.1)
    assert loud_bands(levels, (16, 24), MARGIN) == (16, 24, 18)


def test_a_small_gap_between_loud_bands_does_not_end_the_box() -> None:
    near = loud(20, 22) + loud(22 + GAP_BANDS, 30)
    assert loud_bands(near, (16, 32), MARGIN)[:2] == (20, 30)
    far = loud(20, 22, 21.0) + loud(22 + GAP_BANDS + 1, 30)
    assert loud_bands(far, (16, 32), MARGIN)[:2] == (20, 22)


@given(
    st.lists(st.floats(-30, 60, width=32), min_size=16, max_size=BANDS),
    st.integers(0, 7),
    st.integers(1, 8),
)
@settings(max_examples=200, deadline=None)
def test_the_loudest_band_is_inside_and_every_edge_is_loud(
    levels: list[float], row: int, rows: int
) -> None:
    excess_db = np.asarray(levels, np.float32)
    span = (min(2 * row, len(levels) - 2), min(2 * (row + rows), len(levels)))
    first, end, loudest = loud_bands(excess_db, span, 2)
    assert 0 <= first < end <= len(levels)
    level_db = float(excess_db[loudest])
    if level_db >= AUDIBLE_DB:
        assert first <= loudest < end
        assert excess_db[first:end].max() == np.float32(level_db)
        least = max(level_db * LOUD_SHARE, AUDIBLE_DB / 2) - 1e-4
        assert min(excess_db[first], excess_db[end - 1]) >= least
