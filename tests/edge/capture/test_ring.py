"""The ring between capture and scoring: it behaves like a bounded list, and never hangs."""

import threading
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from edge.capture.ring import SampleRing

FloatArray = NDArray[np.float32]
DEADLINE_S = 10.0
FOR_EVER_S = 3600.0


class RingIsABoundedList(RuleBasedStateMachine):
    """Every operation does to the ring what it does to a list with a largest length."""

    @initialize(capacity=st.integers(1, 7))
    def start(self, capacity: int) -> None:
        """An empty ring."""
        self.capacity = capacity
        self.ring = SampleRing(capacity)
        self.held: list[float] = []
        self.dropped = 0
        self.closed = False
        self.next_sample = 1.0

    @rule(count=st.integers(0, 20))
    def write(self, count: int) -> None:
        """What does not fit is dropped."""
        samples = np.arange(self.next_sample, self.next_sample + count, dtype=np.float32)
        self.next_sample += count
        room = 0 if self.closed else self.capacity - len(self.held)
        fits = min(count, room)
        assert self.ring.write(samples) == fits
        self.held += samples[:fits].tolist()
        self.dropped += count - fits

    @rule(at_most=st.integers(1, 20))
    def read(self, at_most: int) -> None:
        """Oldest first; None when closed and empty."""
        samples = self.ring.read(at_most=at_most, timeout_s=0.0)
        if self.closed and not self.held:
            assert samples is None
            return
        assert samples is not None
        assert samples.tolist() == self.held[:at_most]
        self.held = self.held[at_most:]

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
        assert self.ring.dropped == self.dropped


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


def full_ring() -> SampleRing:
    ring = SampleRing(4)
    ring.write(np.ones(4, np.float32))
    return ring


def test_a_reader_that_waits_gets_what_is_written_then() -> None:
    ring = SampleRing(4)
    reader = InBackground(lambda: ring.read(at_most=4, timeout_s=FOR_EVER_S))
    ring.write(np.array([1, 2], np.float32))
    result = reader.finished()
    assert isinstance(result, np.ndarray)
    assert result.tolist() == [1, 2]


def test_a_writer_that_waits_is_told_the_room_that_a_read_makes() -> None:
    ring = full_ring()
    writer = InBackground(lambda: ring.wait_for_room(timeout_s=FOR_EVER_S))
    ring.read(at_most=3, timeout_s=0.0)
    assert writer.finished() == 3


def test_closing_wakes_a_waiting_reader_with_the_end() -> None:
    ring = SampleRing(4)
    reader = InBackground(lambda: ring.read(at_most=1, timeout_s=FOR_EVER_S))
    ring.close()
    assert reader.finished() is None


def test_closing_wakes_a_waiting_writer_without_room() -> None:
    ring = full_ring()
    writer = InBackground(lambda: ring.wait_for_room(timeout_s=FOR_EVER_S))
    ring.close()
    assert writer.finished() == 0


@pytest.mark.parametrize("timeout_s", [0.0, 0.05])
def test_a_wait_ends_at_its_timeout(timeout_s: float) -> None:
    empty, full = SampleRing(4), full_ring()
    reader = InBackground(lambda: empty.read(at_most=1, timeout_s=timeout_s))
    writer = InBackground(lambda: full.wait_for_room(timeout_s=timeout_s))
    nothing = reader.finished()
    assert isinstance(nothing, np.ndarray)
    assert len(nothing) == 0
    assert writer.finished() == 0


def test_what_was_read_is_not_changed_by_later_writes() -> None:
    ring = full_ring()
    samples = ring.read(at_most=4, timeout_s=0.0)
    ring.write(np.zeros(4, np.float32))
    assert samples is not None
    assert samples.tolist() == [1, 1, 1, 1]


def test_a_writer_and_a_reader_at_once_lose_and_repeat_nothing() -> None:
    ring = SampleRing(101)
    sent = np.arange(20_000, dtype=np.float32)
    received: list[FloatArray] = []

    def write_all() -> None:
        offered = 0
        while offered < len(sent):
            room = ring.wait_for_room(timeout_s=DEADLINE_S)
            assert room, "the reader has stopped reading"
            offered += ring.write(sent[offered : offered + min(room, 37)])
        ring.close()

    writer = InBackground(write_all)
    while (samples := ring.read(at_most=53, timeout_s=DEADLINE_S)) is not None:
        assert len(samples), "the writer has stopped writing"
        received.append(samples)
    writer.finished()
    assert np.array_equal(np.concatenate(received), sent)
    assert ring.dropped == 0
