"""ULIDs: a codec of 26 characters, and ids that never go back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.ulid import LAST, LENGTH, RANDOM_BITS, UlidSource, decode, encode


@settings(deadline=None)
@given(st.integers(0, LAST))
def test_what_is_encoded_is_decoded(number: int) -> None:
    text = encode(number)
    assert len(text) == LENGTH
    assert decode(text) == number


@settings(deadline=None)
@given(st.integers(0, LAST), st.integers(0, LAST))
def test_texts_sort_as_numbers_do(one: int, other: int) -> None:
    assert (encode(one) < encode(other)) == (one < other)


def test_the_specification_s_example() -> None:
    """github.com/ulid/spec: 01ARZ3NDEKTSV4RRFFQ69G5FAV was made at 1469922850259 ms."""
    assert decode("01ARZ3NDEKTSV4RRFFQ69G5FAV") >> RANDOM_BITS == 1_469_922_850_259


@pytest.mark.parametrize(
    "text",
    ["", "01ARZ3NDEKTSV4RRFFQ69G5FA", "8" + "0" * 25, "01ARZ3NDEKTSV4RRFFQ69G5FAU", "é" * 26],
)
def test_what_is_no_ulid_is_refused(text: str) -> None:
    """Too short, too large, and letters that are easily confused."""
    with pytest.raises(ValueError, match="ULID"):
        decode(text)


@pytest.mark.parametrize("number", [-1, LAST + 1])
def test_more_than_128_bits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="128 bits"):
        encode(number)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**60), 2**60), min_size=1, max_size=50))
def test_ids_grow_whatever_the_clock_does(clock_ms: list[int]) -> None:
    """I04: it stands still, goes two weeks back, or leaves the calendar."""
    ticks = iter(clock_ms)
    source = UlidSource(lambda: next(ticks))
    made = [source() for _ in clock_ms]
    assert made == sorted(set(made))


def test_an_id_tells_when_it_was_made() -> None:
    assert decode(UlidSource(lambda: 1_700_000_000_000)()) >> RANDOM_BITS == 1_700_000_000_000


def test_two_sources_make_different_ids_at_the_same_moment() -> None:
    assert UlidSource(lambda: 5)() != UlidSource(lambda: 5)()
