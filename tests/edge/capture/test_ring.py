"""The ring between capture and scoring: it behaves like a bounded list, and never hangs."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from edge.capture.ring import SoundRing
from edge.capture.sound import Block

FloatArray = NDArray[np.float32]
DEADLINE_S = 10.0
FOR_EVER_S = 3600.0
RATE_HZ = 10


def block(samples: list[float] | FloatArray, *, at_s: float = 0.0, cut: bool = False) -> Block:
    return Block(np.asarray(samples, np.float32), RATE_HZ, at_s, cut)


class RingIsABoundedList(RuleBasedStateMachine):
    """Every operation does to the ring what it does to a list with a largest length."""

    @initialize(capacity=st.integers(1, 9))
    def start(self, capacity: int) -> None:
        """An empty ring."""
        self.capacity = capacity
        self.ring = SoundRing(capacity)
        self.held: list[tuple[float, float, bool]] = []  # sample, its time, whether a cut is before
        self.dropped = 0
        self.skipping = self.closed = False
        self.next_sample = 0

    @rule(count=st.integers(1, 20), cut=st.booleans())
    def write(self, count: int, *, cut: bool) -> None:
        """A block that does not fit is lost whole; then half of the ring must be free again."""
        first, self.next_sample = self.next_sample, self.next_sample + count
        samples = np.arange(first, first + count, dtype=np.float32)
        room = self.capacity - len(self.held)
        needed = max(count, self.capacity // 2 if self.skipping else 0)
        fits = not self.closed and room >= needed
        assert self.ring.write(block(samples, at_s=first / RATE_HZ, cut=cut)) == fits
        if self.closed:
            return
        if fits:
            cuts = [cut or self.skipping, *[False] * (count - 1)]
            times = samples / RATE_HZ
            self.held += list(zip(samples.tolist(), times.tolist(), cuts, strict=True))
        else:
            self.dropped += count
        self.skipping = not fits

    @rule(at_most=st.integers(1, 20))
    def read(self, at_most: int) -> None:
        """Oldest first, never across a cut, each block at its time."""
        found = self.ring.read(at_most_s=at_most / RATE_HZ, timeout_s=0.0)
        if not self.held:
            assert found is None
            return
        assert found is not None
        later = [index for index, (_, _, cut) in enumerate(self.held) if cut and index]
        expected = self.held[: min([at_most, *later])]
        assert found.samples.tolist() == [sample for sample, _, _ in expected]
        assert found.at_s == pytest.approx(expected[0][1])
        assert found.cut == expected[0][2]
        self.held = self.held[len(expected) :]

    @rule()
    def room(self) -> None:
        """None when closed."""
        expected = 0 if self.closed else self.capacity - len(self.held)
        assert self.ring.wait_for_room(timeout_s=0.0) == expected

    @rule()
    def close(self) -> None:
        """May happen twice."""
        self.ring.close()
        self.closed = True

    @invariant()
    def counts_agree(self) -> None:
        """After every step."""
        assert self.ring.waiting == len(self.held)
        assert self.ring.dropped_s == pytest.approx(self.dropped / RATE_HZ)
        assert self.ring.ended == (self.closed and not self.held)


TestRingIsABoundedList = RingIsABoundedList.TestCase
TestRingIsABoundedList.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)


class InBackground:
    """Runs a call in a thread, so that a test can see it end."""

    def __init__(self, call: Callable[[], object]) -> None:
        self._call = call
        self.result: object = "nothing yet"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self.result = self._call()

    def finished(self) -> object:
        """The result of the call, which must have ended."""
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive(), "still waits"
        return self.result


def full_ring() -> SoundRing:
    ring = SoundRing(4)
    ring.write(block([1, 1, 1, 1]))
    return ring


def test_a_reader_that_waits_gets_what_is_written_then() -> None:
    ring = SoundRing(4)
    reader = InBackground(lambda: ring.read(at_most_s=0.2, timeout_s=FOR_EVER_S))
    ring.write(block([1, 2]))
    result = reader.finished()
    assert isinstance(result, Block)
    assert result.samples.tolist() == [1, 2]


@pytest.mark.parametrize(("at_most_s", "expected"), [(0.2, [1, 2]), (1.0, [1, 2, 3])])
def test_a_reader_waits_for_all_that_it_asks_for_or_most_of_the_ring(
    at_most_s: float, expected: list[int]
) -> None:
    """A writer that waits wants a quarter of the ring: they never wait for each other."""
    ring = SoundRing(4)
    reader = InBackground(lambda: ring.read(at_most_s=at_most_s, timeout_s=FOR_EVER_S))
    for sample in expected:
        ring.write(block([sample], at_s=(sample - 1) / RATE_HZ))
    result = reader.finished()
    assert isinstance(result, Block)
    assert result.samples.tolist() == expected


def test_a_reader_that_waits_for_more_gets_the_end_when_the_ring_is_closed() -> None:
    ring = SoundRing(8)
    reader = InBackground(lambda: ring.read(at_most_s=0.5, timeout_s=FOR_EVER_S))
    ring.write(block([1, 2]))
    ring.close()
    result = reader.finished()
    assert isinstance(result, Block)
    assert result.samples.tolist() == [1, 2]


def test_a_reader_whose_time_is_up_gets_what_there_is() -> None:
    ring = SoundRing(4)
    ring.write(block([1, 2]))
    result = ring.read(at_most_s=1.0, timeout_s=0.05)
    assert result is not None
    assert result.samples.tolist() == [1, 2]


def test_a_writer_that_waits_is_told_the_room_that_a_read_makes() -> None:
    ring = full_ring()
    writer = InBackground(lambda: ring.wait_for_room(timeout_s=FOR_EVER_S))
    ring.read(at_most_s=0.3, timeout_s=0.0)
    assert writer.finished() == 3


def test_closing_wakes_a_waiting_reader_with_the_end() -> None:
    ring = SoundRing(4)
    reader = InBackground(lambda: ring.read(at_most_s=1.0, timeout_s=FOR_EVER_S))
    ring.close()
    assert reader.finished() is None
    assert ring.ended


def test_closing_wakes_a_waiting_writer_without_room() -> None:
    ring = full_ring()
    writer = InBackground(lambda: ring.wait_for_room(timeout_s=FOR_EVER_S))
    ring.close()
    assert writer.finished() == 0


@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
def test_a_wait_ends_at_its_timeout(timeout_s: float) -> None:
    empty, full = SoundRing(4), full_ring()
    reader = InBackground(lambda: empty.read(at_most_s=1.0, timeout_s=timeout_s))
    writer = InBackground(lambda: full.wait_for_room(timeout_s=timeout_s))
    assert reader.finished() is None
    assert writer.finished() == 0


def test_what_was_read_is_not_changed_by_later_writes() -> None:
    ring = full_ring()
    found = ring.read(at_most_s=0.4, timeout_s=0.0)
    ring.write(block([0, 0, 0, 0]))
    assert found is not None
    assert found.samples.tolist() == [1, 1, 1, 1]


def test_a_reader_that_is_too_slow_loses_one_long_piece_and_not_many_short_ones() -> None:
    """C02, C05: overload costs whole stretches, and what comes next is marked."""
    ring = SoundRing(40)
    cuts = []
    for index in range(200):  # the writer is twice as fast as the reader
        ring.write(block(np.full(4, index), at_s=index * 0.4))
        if index % 2 and (found := ring.read(at_most_s=0.4, timeout_s=0.0)):
            cuts.append(found.cut)
    assert ring.dropped_s > 0
    lost_blocks = ring.dropped_s / 0.4
    assert lost_blocks / max(1, sum(cuts)) >= 4


def test_a_writer_and_a_reader_at_once_lose_and_repeat_nothing() -> None:
    ring = SoundRing(101)
    sent = np.arange(20_000, dtype=np.float32)
    received: list[FloatArray] = []

    def write_all() -> None:
        offered = 0
        while offered < len(sent):
            room = ring.wait_for_room(timeout_s=DEADLINE_S)
            assert room, "the reader has stopped reading"
            part = sent[offered : offered + min(room, 37)]
            assert ring.write(block(part, at_s=offered / RATE_HZ))
            offered += len(part)
        ring.close()

    writer = InBackground(write_all)
    while not ring.ended:
        found = ring.read(at_most_s=5.3, timeout_s=DEADLINE_S)
        assert found is not None or ring.ended, "the writer has stopped writing"
        if found is not None:
            received.append(found.samples)
    writer.finished()
    assert np.array_equal(np.concatenate(received), sent)
    assert ring.dropped_s == 0
