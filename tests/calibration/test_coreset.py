"""The coreset: bounded, covering, chosen in fixed memory."""

from __future__ import annotations

import tracemalloc
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.coreset import Coreset, StreamingCoreset, k_center, merged
from edge.nearest import Bank

Int8Array = NDArray[np.int8]
MIB = 2**20


def squared_distances(points: Int8Array, rows: Int8Array) -> NDArray[np.int64]:
    """By definition: of each point to its nearest row."""
    difference = points.astype(np.int64)[:, None, :] - rows.astype(np.int64)[None, :, :]
    return np.asarray((difference**2).sum(axis=2).min(axis=1))


@st.composite
def clouds(draw: st.DrawFn, largest: int = 200) -> Int8Array:
    """Points in clusters of very different widths, some of them twice."""
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    count, dimension = draw(st.integers(1, largest)), draw(st.integers(1, 24))
    centres = random.integers(-100, 100, (draw(st.integers(1, 5)), dimension))
    spread = draw(st.sampled_from([0, 1, 20]))
    points = centres[random.integers(0, len(centres), count)]
    return np.asarray(points + random.integers(-spread, spread + 1, points.shape), np.int8)


def collected(points: Int8Array, cuts: list[int], *, max_rows: int, chunk_rows: int) -> Coreset:
    coreset = StreamingCoreset(points.shape[1], max_rows=max_rows, chunk_rows=chunk_rows)
    for part in np.split(points, sorted(cuts)):
        coreset.add(part)
    return coreset.finish()


@given(clouds(), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_k_center_chooses_different_members_no_more_than_asked_and_covers_all(
    points: Int8Array, count: int
) -> None:
    chosen, radius = k_center(points, count)
    assert 1 <= len(chosen) <= count
    assert len(np.unique(points[chosen], axis=0)) == len(chosen)
    assert squared_distances(points, points[chosen]).max() == radius


@given(clouds(largest=9), st.integers(1, 4))
@settings(max_examples=150, deadline=None)
def test_k_center_is_at_most_twice_as_wide_as_the_best_choice(
    points: Int8Array, count: int
) -> None:
    _, greedy = k_center(points, count)
    count = min(count, len(points))
    best = min(
        squared_distances(points, points[list(rows)]).max()
        for rows in combinations(range(len(points)), count)
    )
    assert np.sqrt(greedy) <= 2 * np.sqrt(best)


def test_k_center_stops_when_nothing_else_is_different() -> None:
    points = np.array([[1, 2], [1, 2], [3, 4], [1, 2]], np.int8)
    chosen, radius = k_center(points, 4)
    assert sorted(points[chosen].tolist()) == [[1, 2], [3, 4]]
    assert radius == 0


@given(clouds(), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_every_row_of_the_bank_was_added_and_no_row_is_there_twice(
    points: Int8Array, max_rows: int, chunk_rows: int
) -> None:
    rows = collected(points, [], max_rows=max_rows, chunk_rows=chunk_rows).rows
    assert 1 <= len(rows) <= max_rows
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert not squared_distances(rows, points).any()


@given(clouds(), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=150, deadline=None)
def test_every_embedding_is_within_the_radius_times_the_number_of_chunks(
    points: Int8Array, max_rows: int, chunk_rows: int
) -> None:
    """One chunk moves an embedding's nearest row by at most the radius in effect.

    The radius never shrinks, so by the triangle inequality n chunks move it by at most n times the
    radius that is reported in the end. No constant multiple holds: rows can drift in one direction.
    """
    found = collected(points, [], max_rows=max_rows, chunk_rows=chunk_rows)
    chunks = -(-len(points) // chunk_rows)
    farthest = np.sqrt(squared_distances(points, found.rows).max())
    assert farthest <= chunks * found.radius + 1e-6


@given(clouds(), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_what_fits_in_one_chunk_is_covered_by_exactly_the_radius(
    points: Int8Array, max_rows: int
) -> None:
    found = collected(points, [], max_rows=max_rows, chunk_rows=len(points))
    farthest = np.sqrt(squared_distances(points, found.rows).max())
    assert farthest == pytest.approx(found.radius)


@given(clouds(), st.lists(st.integers(0, 200), max_size=8), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_how_the_additions_are_cut_makes_no_difference(
    points: Int8Array, cuts: list[int], chunk_rows: int
) -> None:
    whole = collected(points, [], max_rows=10, chunk_rows=chunk_rows)
    parts = collected(points, cuts, max_rows=10, chunk_rows=chunk_rows)
    assert np.array_equal(whole.rows, parts.rows)
    assert np.array_equal(whole.origins, parts.origins)
    assert whole.radius == parts.radius


@given(clouds(), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_an_origin_is_the_number_of_an_embedding_that_equals_the_row(
    points: Int8Array, max_rows: int, chunk_rows: int
) -> None:
    found = collected(points, [], max_rows=max_rows, chunk_rows=chunk_rows)
    assert np.array_equal(points[found.origins], found.rows)


def test_origins_may_be_any_numbers() -> None:
    points = np.random.default_rng(7).integers(-128, 128, (100, 4)).astype(np.int8)
    numbers = 2**40 + 3 * np.arange(100)
    coreset = StreamingCoreset(4, max_rows=10, chunk_rows=16)
    coreset.add(points, numbers)
    found = coreset.finish()
    assert np.array_equal(points[(found.origins - 2**40) // 3], found.rows)


@given(st.lists(clouds(largest=60), min_size=1, max_size=4), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_a_merged_coreset_covers_all_that_its_parts_were_chosen_from(
    several: list[Int8Array], limit: int
) -> None:
    several = [np.resize(points, (len(points), 5)) for points in several]
    parts = [collected(points, [], max_rows=20, chunk_rows=len(points)) for points in several]
    found = merged(parts, limit)
    assert 1 <= len(found.rows) <= limit
    farthest = np.sqrt(squared_distances(np.concatenate(several), found.rows).max())
    assert farthest <= found.radius + 1e-6


def test_a_merged_coreset_keeps_the_origin_of_each_row() -> None:
    random = np.random.default_rng(8)
    points = random.integers(-128, 128, (60, 4)).astype(np.int8)
    parts = []
    for numbers in np.split(np.arange(60), 3):
        coreset = StreamingCoreset(4, max_rows=15)
        coreset.add(points[numbers], numbers)
        parts.append(coreset.finish())
    found = merged(parts, 20)
    assert np.array_equal(points[found.origins], found.rows)


def test_the_same_sound_again_changes_nothing() -> None:
    points = np.random.default_rng(1).integers(-128, 128, (300, 8)).astype(np.int8)
    once = collected(points, [], max_rows=50, chunk_rows=300)
    again = collected(np.tile(points, (4, 1)), [], max_rows=50, chunk_rows=300)
    assert np.array_equal(once.rows, again.rows)
    assert np.array_equal(once.origins, again.origins)
    assert once.radius == again.radius


def test_a_bank_with_room_for_everything_holds_everything() -> None:
    points = np.random.default_rng(2).integers(-128, 128, (500, 8)).astype(np.int8)
    found = collected(points, [], max_rows=500, chunk_rows=64)
    assert np.array_equal(np.unique(found.rows, axis=0), np.unique(points, axis=0))
    assert found.radius == 0


@pytest.mark.parametrize(("max_rows", "max_bytes"), [(7, 1_000_000), (1_000, 7 * 16 + 15)])
def test_the_bank_is_bounded_by_rows_and_by_bytes(max_rows: int, max_bytes: int) -> None:
    """H14."""
    points = np.random.default_rng(3).integers(-128, 128, (5_000, 16)).astype(np.int8)
    coreset = StreamingCoreset(16, max_rows=max_rows, max_bytes=max_bytes, chunk_rows=500)
    coreset.add(points)
    assert len(coreset.finish().rows) == 7
    assert coreset.seen == 5_000


def test_a_bound_below_one_embedding_is_refused() -> None:
    with pytest.raises(ValueError, match="holds no embedding"):
        StreamingCoreset(16, max_bytes=15)


def test_a_bank_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no embeddings"):
        StreamingCoreset(16).finish()


def peak_bytes(chunks: int) -> int:
    """Largest allocation while so many chunks of ever new embeddings are added."""
    random = np.random.default_rng(4)
    tracemalloc.start()
    try:
        coreset = StreamingCoreset(32, max_rows=100, chunk_rows=1_000)
        for _ in range(chunks):
            coreset.add(random.integers(-128, 128, (1_000, 32)).astype(np.int8))
        coreset.finish()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_what_was_added() -> None:
    """H14, H16."""
    assert peak_bytes(60) <= 1.05 * peak_bytes(3)


def test_one_large_addition_needs_no_more_memory_than_many_small_ones() -> None:
    """H16."""
    points = np.random.default_rng(5).integers(-128, 128, (200_000, 32)).astype(np.int8)
    tracemalloc.start()
    try:
        coreset = StreamingCoreset(32, max_rows=50, chunk_rows=1_000)
        coreset.add(points)
        coreset.finish()
        assert tracemalloc.get_traced_memory()[1] < MIB
    finally:
        tracemalloc.stop()


def test_the_bank_serves_the_search_kernel_as_it_is() -> None:
    points = np.random.default_rng(6).integers(-128, 128, (900, 24)).astype(np.int8)
    coreset = collected(points, [], max_rows=100, chunk_rows=900)
    found = Bank(coreset.rows).squared_distances(points)
    assert np.sqrt(found.max()) == pytest.approx(coreset.radius)
