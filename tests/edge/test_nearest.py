"""The kernel: exact squared distances to the nearest bank row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.nearest import MAX_DIMENSION, Bank

Int8Array = NDArray[np.int8]


def by_definition(queries: Int8Array, rows: Int8Array) -> NDArray[np.int64]:
    difference = queries.astype(np.int64)[:, None, :] - rows.astype(np.int64)[None, :, :]
    return np.asarray((difference**2).sum(axis=2).min(axis=1))


@st.composite
def searches(draw: st.DrawFn) -> tuple[Int8Array, Int8Array]:
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    dimension = draw(st.integers(1, MAX_DIMENSION))
    extreme = draw(st.booleans())

    def draw_rows(count: int) -> Int8Array:
        if extreme:  # the largest sums that can occur
            return random.choice(np.array([-128, 127], np.int8), (count, dimension))
        return random.integers(-128, 128, (count, dimension)).astype(np.int8)

    return draw_rows(draw(st.integers(1, 40))), draw_rows(draw(st.integers(1, 60)))


@given(searches(), st.integers(1, 50), st.integers(1, 70))
@settings(max_examples=200, deadline=None)
def test_equals_the_int64_definition_for_every_block_size(
    search: tuple[Int8Array, Int8Array], block_queries: int, block_rows: int
) -> None:
    queries, rows = search
    bank = Bank(rows, block_queries=block_queries, block_rows=block_rows)
    assert np.array_equal(bank.squared_distances(queries), by_definition(queries, rows))


def test_the_largest_distance_at_the_largest_dimension_is_exact() -> None:
    low = np.full((1, MAX_DIMENSION), -128, np.int8)
    high = np.full((1, MAX_DIMENSION), 127, np.int8)
    assert Bank(low).squared_distances(high)[0] == 255 * 255 * MAX_DIMENSION


def test_a_row_of_the_bank_is_at_distance_zero() -> None:
    rows = np.random.default_rng(0).integers(-128, 128, (3000, 64)).astype(np.int8)
    assert not Bank(rows).squared_distances(rows[::7]).any()


def test_no_queries_give_no_distances() -> None:
    assert Bank(np.ones((3, 4), np.int8)).squared_distances(np.empty((0, 4), np.int8)).shape == (0,)


def test_refuses_dimensions_beyond_the_exact_bound() -> None:
    with pytest.raises(ValueError, match="exact only up to"):
        Bank(np.zeros((2, MAX_DIMENSION + 1), np.int8))


@pytest.mark.parametrize(
    "rows",
    [np.zeros((2, 3), np.float32), np.zeros(3, np.int8), np.zeros((0, 3), np.int8)],
    ids=["float", "one-dimensional", "empty"],
)
def test_refuses_what_is_no_bank(rows: NDArray[np.generic]) -> None:
    with pytest.raises(ValueError, match="int8"):
        Bank(rows)  # type: ignore[arg-type]


def test_refuses_queries_of_another_dimension() -> None:
    with pytest.raises(ValueError, match="queries are"):
        Bank(np.zeros((2, 3), np.int8)).squared_distances(np.zeros((1, 4), np.int8))
