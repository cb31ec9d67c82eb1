"""Samples as they come become blocks of a tenth of a second, each where it was heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge.capture.assembler import SETTLE_S, Assembler
from edge.capture.pcm import Decoded
from edge.capture.sound import Block

RATE_HZ = 1_000
SIZE = RATE_HZ // 10


def part(first: int, count: int, clipped_share: float = 0.0) -> Decoded:
    """Frames that hold their own numbers."""
    return Decoded(np.arange(first, first + count, dtype=np.float32), clipped_share)


def push(
    assembler: Assembler, first: int, count: int, arrived_s: float | None = None
) -> list[Block]:
    """Frames that come as soon as they are complete, unless told."""
    arrived_s = (first + count) / RATE_HZ if arrived_s is None else arrived_s
    return list(assembler.push(part(first, count), arrived_s))


def settled() -> Assembler:
    """A stream of which 0.4 s have come, and none of it waits."""
    assembler = Assembler(RATE_HZ)
    blocks = [block for first in range(0, 400, 50) for block in push(assembler, first, 50)]
    assert blocks[-1].end_s == pytest.approx(0.4)
    return assembler


@example(sizes=[1, 1, 109, 350, 199, 200, 200, 200, 201])
@given(sizes=st.lists(st.integers(1, 350), min_size=1, max_size=40))
@settings(max_examples=60, deadline=None)
def test_however_it_is_cut_nothing_is_lost_and_each_sample_has_its_time(sizes: list[int]) -> None:
    assembler, blocks, first = Assembler(RATE_HZ), list[Block](), 0
    for size in sizes:
        blocks += push(assembler, first, size)
        first += size
    samples = [sample for block in blocks for sample in block.samples.tolist()]
    assert samples == list(range(len(samples)))
    if first >= 2 * (SETTLE_S * RATE_HZ + SIZE + max(sizes)):
        assert first - len(samples) < SIZE
    for block in blocks:
        assert len(block.samples) == SIZE
        assert block.at_s == pytest.approx(
            block.samples[0] / RATE_HZ, abs=0.02
        )  # it follows clocks
    assert [block.cut for block in blocks] == [True, *[False] * (len(blocks) - 1)][: len(blocks)]
    assert assembler.lost_s == 0.0


def test_the_first_of_a_stream_that_comes_late_is_placed_where_it_was_heard() -> None:
    """A busy computer takes a while to begin; then all comes at once."""
    assembler = Assembler(RATE_HZ)
    blocks = push(assembler, 0, 50, arrived_s=10.5) + push(assembler, 50, 450, arrived_s=10.51)
    for first in range(500, 900, 50):
        blocks += push(assembler, first, 50, arrived_s=10.0 + (first + 50) / RATE_HZ)
    assert [block.at_s for block in blocks[:3]] == pytest.approx([10.0, 10.1, 10.2])


@pytest.mark.parametrize("lost_s", [0.05, 0.7, 20.0])
@pytest.mark.parametrize("at_frame", [400, 437, 500])
def test_an_overflow_cuts_exactly_there(lost_s: float, at_frame: int) -> None:
    """C01: what comes before it is whole, what comes after it begins a block."""
    assembler = settled()
    blocks = push(assembler, 400, at_frame - 400)
    assembler.overflow(at_frame)
    for first in range(at_frame, at_frame + 500, 50):
        blocks += push(assembler, first, 50, arrived_s=lost_s + (first + 50) / RATE_HZ)
    (cut,) = [block for block in blocks if block.cut]
    assert cut.samples[0] == at_frame
    assert cut.at_s == pytest.approx(at_frame / RATE_HZ + lost_s)
    assert assembler.lost_s == pytest.approx(lost_s)


@pytest.mark.parametrize("late_s", [0.0, 0.05, 0.2])
def test_what_follows_an_overflow_may_come_late(late_s: float) -> None:
    """C01: how much was lost is known when the computer has caught up, and not before."""
    assembler = settled()
    assembler.overflow(400)
    blocks = push(assembler, 400, 100, arrived_s=0.5 + 0.3 + late_s)
    for first in range(500, 1_100, 50):
        blocks += push(assembler, first, 50, arrived_s=0.3 + (first + 50) / RATE_HZ)
    assert blocks[0].at_s == pytest.approx(0.7)
    assert assembler.lost_s == pytest.approx(0.3)


def test_several_overflows_in_one_piece_are_several_holes() -> None:
    assembler = settled()
    for frame in (410, 450, 480):
        assembler.overflow(frame)
    blocks = push(assembler, 400, 300, arrived_s=1.0)
    for first in range(700, 1_000, 50):
        blocks += push(assembler, first, 50, arrived_s=0.3 + (first + 50) / RATE_HZ)
    assert [block.samples[0] for block in blocks if block.cut] == [410, 450, 480]
    assert [len(block.samples) for block in blocks[:4]] == [10, 40, 30, SIZE]


def test_an_overflow_before_the_first_frame_is_no_second_hole() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.overflow(0)
    blocks = [block for first in range(0, 400, 50) for block in push(assembler, first, 50)]
    assert [block.cut for block in blocks] == [True, False, False, False]
    del blocks[3:]
    assert [block.cut for block in blocks] == [True, False, False]


def test_the_largest_share_of_clipping_in_a_block_is_kept_for_it() -> None:
    assembler = settled()
    blocks = list(assembler.push(part(400, 60, clipped_share=0.4), 0.46))
    blocks += assembler.push(part(460, 40), 0.50)
    blocks += assembler.push(part(500, 100), 0.60)
    assert [block.clipped_share for block in blocks] == [0.4, 0.0]
