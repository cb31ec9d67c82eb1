"""Recent sound: a list of samples with their times, of which the last seconds are kept."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.sound import Block
from edge.clips.recent import MOST_MARKS, SAME_PLACE_S, RecentSound

LENGTH_S = 2.0
RATES_HZ = (4, 8, 16)


class Sample(NamedTuple):
    """What the model keeps."""

    value: int
    time_s: Fraction
    stretch: int  # no hole within one
    rate_hz: int


class Written(NamedTuple):
    """A block to write."""

    length: int  # in samples
    hole: int  # in samples
    rate_hz: int
    cut: bool


blocks = st.builds(
    Written,
    length=st.integers(0, 50),
    hole=st.sampled_from([0, 0, 0, 1, 7]),
    rate_hz=st.sampled_from(RATES_HZ),
    cut=st.booleans(),
)


def same_rate(written: list[Written]) -> list[Written]:
    """As from one device: a new rate or a hole only behind a cut."""
    rate_hz, out = 8, []
    for each in written:
        rate_hz = each.rate_hz if each.cut else rate_hz
        hole = each.hole if each.cut else 0
        out.append(each._replace(rate_hz=rate_hz, hole=hole))
    return out


def play(written: list[Written]) -> tuple[RecentSound, list[Sample]]:
    """The same sound into both; the model forgets nothing."""
    recent, model = RecentSound(LENGTH_S), list[Sample]()
    at_s, value, stretch = Fraction(3), 0, 0
    last_rate_hz: int | None = None
    for each in written:
        at_s += Fraction(each.hole, each.rate_hz)
        samples = np.arange(value, value + each.length, dtype=np.float32) / 32_768
        recent.write(Block(samples, each.rate_hz, float(at_s), each.cut))
        if each.length:
            stretch += each.cut or each.rate_hz != last_rate_hz
            last_rate_hz = each.rate_hz
        for i in range(each.length):
            model.append(Sample(value + i, at_s + Fraction(i, each.rate_hz), stretch, each.rate_hz))
        at_s += Fraction(each.length, each.rate_hz)
        value += each.length
    return recent, model


@settings(max_examples=300, deadline=None)
@given(
    written=st.lists(blocks, max_size=25).map(same_rate),
    start=st.integers(-20, 400),
    length=st.integers(0, 200),
)
def test_what_is_cut_out_is_what_a_list_would_give(
    written: list[Written], start: int, length: int
) -> None:
    recent, model = play(written)
    capacity = max((round(LENGTH_S * each.rate_hz) for each in written if each.length), default=0)
    assert recent.bytes <= 2 * capacity
    start_s, end_s = Fraction(start, 16), Fraction(start + length, 16)
    held = model[-capacity:] if capacity else []
    found = [s for s in held if start_s <= s.time_s < end_s]
    expected = {s.stretch: [t for t in found if t.stretch == s.stretch] for s in found}
    pieces = recent.cut_out(float(start_s), float(end_s))
    # Of what a smaller ring has forgotten before a higher rate made it grow, the model knows.
    for piece, samples in zip(reversed(pieces), reversed(expected.values()), strict=False):
        values = piece.samples.tolist()
        assert values == [s.value for s in samples][-len(values) :]
        assert piece.rate_hz == samples[0].rate_hz
        assert piece.at_s == pytest.approx(float(samples[-len(values)].time_s))
    if recent.end_s is not None:
        sure_s = Fraction(recent.end_s) - Fraction(LENGTH_S)
        kept = [v for piece in pieces for v in piece.samples.tolist()]
        assert set(kept) >= {s.value for s in found if s.time_s >= sure_s}
        assert len(kept) == len(set(kept)) <= len(found)


def test_nothing_is_allocated_before_there_is_sound() -> None:
    recent = RecentSound(40.0)
    assert (recent.bytes, recent.end_s, recent.cut_out(0.0, 40.0)) == (0, None, [])
    recent.write(Block(np.zeros(10, np.float32), 48_000, 0.0))
    assert recent.bytes == 48_000 * 40 * 2


@settings(deadline=None)
@given(st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=50))
def test_16_bit_sound_comes_out_bit_for_bit(values: list[int]) -> None:
    recent = RecentSound(100.0)
    recent.write(Block(np.asarray(values, np.float32) / 32_768, 8, 0.0))
    (piece,) = recent.cut_out(0.0, 100.0)
    assert piece.samples.tolist() == values


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 90), st.integers(1, 90), st.sampled_from([44_100, 48_000]))
def test_round_times_give_exactly_their_samples(start: int, length: int, rate_hz: int) -> None:
    """A tenth of a second is no binary fraction; no sample may be won or lost by that."""
    recent = RecentSound(20.0)
    for i in range(180):
        recent.write(Block(np.zeros(rate_hz // 10, np.float32), rate_hz, i / 10))
    (piece,) = recent.cut_out(start / 10, (start + length) / 10)
    assert len(piece.samples) == length * rate_hz // 10
    assert piece.at_s == pytest.approx(start / 10)


@pytest.mark.filterwarnings("error")
def test_what_is_no_number_or_too_loud_is_still_16_bit() -> None:
    recent = RecentSound(1.0)
    recent.write(Block(np.asarray([np.nan, np.inf, -np.inf, 3e38, 1.0], np.float32), 8, 0.0))
    (piece,) = recent.cut_out(0.0, 1.0)
    assert piece.samples.tolist() == [0, 32_767, -32_768, 32_767, 32_767]


def test_a_clock_that_drifts_moves_sound_and_makes_no_hole() -> None:
    """D08: only what was said to be a hole is one."""
    recent = RecentSound(100.0)
    drift = 1 + 3e-4
    for i in range(900):
        recent.write(Block(np.full(800, i / 32_768, np.float32), 8_000, i * 0.1 * drift))
    (piece,) = recent.cut_out(50.0, 60.0)
    true_s = 0.1 * drift * (int(piece.samples[0]) + 1)
    assert abs(true_s - 50.0) < 0.1 + 2 * SAME_PLACE_S
    assert len(piece.samples) == pytest.approx(80_000 / drift, abs=2 * SAME_PLACE_S * 8_000)


def test_a_stream_in_crumbs_takes_no_more_memory_than_others() -> None:
    recent = RecentSound(100.0)
    for i in range(3 * MOST_MARKS):
        recent.write(Block(np.full(2, i % 100, np.float32) / 32_768, 100, i * 0.03, cut=True))
    pieces = recent.cut_out(0.0, 1_000.0)
    assert len(pieces) == MOST_MARKS
    assert recent.end_s is not None
    assert pieces[-1].end_s == pytest.approx(recent.end_s)


def test_what_was_cut_out_is_not_changed_by_later_sound() -> None:
    recent = RecentSound(1.0)
    recent.write(Block(np.zeros(8, np.float32), 8, 0.0))
    (piece,) = recent.cut_out(0.0, 1.0)
    recent.write(Block(np.full(8, 0.5, np.float32), 8, 1.0))
    assert not piece.samples.any()
