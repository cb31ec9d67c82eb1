"""Golden windows on disk: every byte is accounted for, and anything else is refused."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import BundleError
from edge.golden_file import HEAD, MAGIC, GoldenWindows, decode_golden, encode_golden

SIZES = st.integers(1, 5)


@st.composite
def goldens(draw: st.DrawFn) -> GoldenWindows:
    frames, bands, columns, rows, dimension = (draw(SIZES) for _ in range(5))
    windows, scored = draw(st.integers(2, 5)), draw(st.integers(1, rows))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    cells = (windows, columns, scored)
    return GoldenWindows(
        random.integers(-128, 128, (windows, frames, bands), np.int8),
        random.integers(-128, 128, (windows, columns, rows, dimension), np.int8),
        random.integers(0, 2**31, cells, np.int32),
        random.integers(0, 2**31, cells, np.int32),
    )


def same(a: GoldenWindows, b: GoldenWindows) -> bool:
    return a.shape == b.shape and all(
        np.array_equal(getattr(a, name), getattr(b, name))
        for name in ("inputs", "embeddings", "squared", "nearest")
    )


@given(goldens())
def test_what_is_written_is_read(golden: GoldenWindows) -> None:
    assert same(decode_golden(encode_golden(golden)), golden)


def test_the_layout_is_the_documented_one() -> None:
    golden = GoldenWindows(
        np.array([[[1, 2]], [[3, -1]]], np.int8),
        np.array([[[[5]]], [[[6]]]], np.int8),
        np.array([[[7]], [[8]]], np.int32),
        np.array([[[9]], [[10]]], np.int32),
    )
    head = b"EARPGLD1" + struct.pack("<7I", 2, 1, 2, 1, 1, 1, 1)
    assert encode_golden(golden) == (
        head + b"\x01\x02\x03\xff" + b"\x05\x06" + struct.pack("<4i", 7, 8, 9, 10)
    )


@given(golden=goldens(), share=st.floats(0, 1, exclude_max=True))
def test_a_file_that_ends_early_is_refused(golden: GoldenWindows, share: float) -> None:
    data = encode_golden(golden)
    with pytest.raises(BundleError):
        decode_golden(data[: int(share * len(data))])


@given(golden=goldens(), more=st.binary(min_size=1, max_size=9))
def test_a_file_that_goes_on_is_refused(golden: GoldenWindows, more: bytes) -> None:
    with pytest.raises(BundleError, match="bytes where"):
        decode_golden(encode_golden(golden) + more)


@given(numbers=st.lists(st.integers(0, 2**32 - 1), min_size=7, max_size=7))
def test_a_head_that_promises_anything_is_refused_without_making_room_for_it(
    numbers: list[int],
) -> None:
    with pytest.raises(BundleError):
        decode_golden(HEAD.pack(MAGIC, *numbers) + bytes(40))


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_bytes_that_are_something_else_are_refused(data: bytes) -> None:
    with pytest.raises(BundleError, match="not a file of golden windows"):
        decode_golden(data)


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    window, cell = np.zeros((2, 1, 1), np.int8), np.zeros((2, 1, 1), np.int32)
    with pytest.raises(ValueError, match="don't fit together"):
        GoldenWindows(window, np.zeros((3, 1, 1, 1), np.int8), cell, cell)
