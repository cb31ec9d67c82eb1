"""Moving windows: their definition, however the stream is cut."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.moving import Departure, MovingAverage, MovingMedian

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

LONGEST = 160
MOVING = pytest.mark.parametrize(
    ("moving", "definition"),
    [(MovingAverage, np.mean), (MovingMedian, np.median)],
    ids=["average", "median"],
)
odd = st.integers(0, 40).map(lambda n: 2 * n + 1)
cuts_of = st.lists(st.integers(0, LONGEST), max_size=10)
Stream = MovingAverage | MovingMedian | Departure


def noise(length: int, rows: int) -> FloatArray:
    return np.random.default_rng(length).normal(0, 30, (length, rows)).astype(np.float32)


def streamed(stream: Stream, columns: FloatArray, cuts: list[int]) -> FloatArray:
    parts = [stream.push(block) for block in np.split(columns, sorted(cuts))]
    return np.concatenate([*parts, stream.finish()])


def by_definition(
    of: Callable[..., FloatArray], columns: int, values: FloatArray
) -> NDArray[np.floating[Any]]:
    reach, wide = columns // 2, values.astype(np.float64)
    rows = [of(wide[max(0, i - reach) : i + reach + 1], axis=0) for i in range(len(wide))]
    return np.asarray(rows).reshape(values.shape)


@MOVING
@given(columns=odd, length=st.integers(0, LONGEST), rows=st.integers(1, 5), cuts=cuts_of)
@settings(max_examples=100, deadline=None)
def test_a_window_is_its_definition_for_every_chunking(
    moving: type[Stream],
    definition: Callable[..., FloatArray],
    columns: int,
    length: int,
    rows: int,
    cuts: list[int],
) -> None:
    values = noise(length, rows)
    found = streamed(moving(columns, rows), values, cuts)
    assert np.allclose(found, by_definition(definition, columns, values), atol=1e-4)


@pytest.mark.parametrize("moving", [MovingAverage, MovingMedian, Departure])
@given(columns=odd, length=st.integers(0, LONGEST), cuts=cuts_of)
@settings(max_examples=60, deadline=None)
def test_how_the_stream_is_cut_changes_no_bit(
    moving: type[Stream], columns: int, length: int, cuts: list[int]
) -> None:
    values = noise(length, 3)
    at_once = streamed(moving(columns, 3), values, [])
    assert streamed(moving(columns, 3), values, cuts).tobytes() == at_once.tobytes()
    assert at_once.dtype == np.float32


@pytest.mark.parametrize("moving", [MovingAverage, MovingMedian])
@pytest.mark.parametrize("columns", [0, -1, 2, 36])
def test_a_window_of_an_even_number_of_columns_is_refused(
    moving: type[Stream], columns: int
) -> None:
    with pytest.raises(ValueError, match="odd"):
        moving(columns, 3)


@pytest.mark.parametrize("moving", [MovingAverage, MovingMedian, Departure])
def test_a_window_waits_only_for_the_columns_that_it_needs(moving: type[Stream]) -> None:
    stream = moving(5, 1)
    assert [len(stream.push(noise(count, 1))) for count in (2, 1, 10, 0)] == [0, 1, 10, 0]
    assert len(stream.finish()) == 2


def test_a_loud_burst_leaves_no_rounding_error_in_the_averages_after_it() -> None:
    values = np.full((400, 1), 0.1, np.float32)
    values[100:110] = 1e5
    after = streamed(MovingAverage(9, 1), values, [])[120:]
    before = streamed(MovingAverage(9, 1), values[:50], [])
    assert np.array_equal(after, np.resize(before[10], after.shape))


@given(st.integers(1, 12), st.floats(1.0, 1e6))
@settings(max_examples=40, deadline=None)
def test_what_is_shorter_than_half_a_window_does_not_take_a_median_along(
    length: int, height: float
) -> None:
    values = noise(100, 1)
    lowest, highest = float(values.min()), float(values.max())
    values[50 : 50 + length] = np.float32(1e3 + height)
    medians = streamed(MovingMedian(25, 1), values, [])
    assert lowest <= medians.min()
    assert medians.max() <= highest


def test_a_departure_is_measured_from_the_median_around_it() -> None:
    values = np.full((60, 2), 5.0, np.float32)
    values[30] = (9.0, 2.0)
    departures = streamed(Departure(21, 2), values, [])
    assert departures[30].tolist() == [4.0, -3.0]
    assert not np.delete(departures, 30, axis=0).any()


@pytest.mark.parametrize(("length", "departs"), [(10, True), (11, False)])
def test_what_fills_more_than_half_of_a_window_is_no_departure(length: int, departs: bool) -> None:
    values = np.zeros((100, 1), np.float32)
    values[50 : 50 + length] = 1.0
    departures = streamed(Departure(21, 1), values, [])
    assert bool(departures[50 + length // 2, 0] == 1.0) is departs
