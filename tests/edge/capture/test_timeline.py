"""Frame counter and clock: blocks come late or in bursts, and sound goes missing without a word."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.timeline import Timeline

BLOCK_S = 0.1


def run(
    timeline: Timeline, seconds: float, *, start_s: float, rate: float = 1.0, jitter_s: float = 0.0,
    seed: int = 0,
) -> list[tuple[float, float, float]]:  # fmt: skip
    """Blocks that begin at `start_s` by the true clock; returns (true start, placed at, lost)."""
    random = np.random.default_rng(seed)
    placed = []
    for index in range(round(seconds / BLOCK_S)):
        true_s = start_s + index * BLOCK_S * rate
        arrived_s = true_s + BLOCK_S * rate + 0.02 + float(random.uniform(0, jitter_s))
        at_s, lost_s = timeline.place(BLOCK_S, arrived_s)
        placed.append((true_s, at_s, lost_s))
    return placed


@pytest.mark.parametrize("jitter_s", [0.0, 0.05, 0.2])
def test_a_busy_machine_makes_no_holes(jitter_s: float) -> None:
    placed = run(Timeline(), 60.0, start_s=5.0, jitter_s=jitter_s)
    assert sum(lost for _, _, lost in placed) == 0
    assert max(abs(at - true) for true, at, _ in placed[20:]) < 0.05


@pytest.mark.parametrize("rate", [1.0 - 2e-4, 1.0 + 2e-4])
def test_a_clock_that_is_off_is_followed(rate: float) -> None:
    """A day of it would be seventeen seconds."""
    placed = run(Timeline(), 600.0, start_s=0.0, rate=rate, jitter_s=0.03)
    assert sum(lost for _, _, lost in placed) == 0
    assert max(abs(at - true) for true, at, _ in placed[20:]) < 0.06


@given(lost_s=st.floats(0.1, 30.0), seed=st.integers(0, 50))
@settings(max_examples=50, deadline=None)
def test_sound_that_went_missing_without_a_word_is_found(lost_s: float, seed: int) -> None:
    """C09: each hole is accounted for to within a tenth of a second."""
    timeline = Timeline()
    run(timeline, 10.0, start_s=0.0, jitter_s=0.03, seed=seed)
    after = run(timeline, 10.0, start_s=10.0 + lost_s, jitter_s=0.03, seed=seed + 1)
    assert sum(lost for _, _, lost in after) == pytest.approx(lost_s, abs=0.06)
    true_s, at_s, _ = after[-1]
    assert at_s == pytest.approx(true_s, abs=0.06)


def test_an_overflow_that_is_said_counts_at_once() -> None:
    timeline = Timeline()
    run(timeline, 5.0, start_s=0.0)
    placed = timeline.place(BLOCK_S, 5.0 + 0.7 + BLOCK_S + 0.02, overflowed=True)
    assert placed.lost_s == pytest.approx(0.7)
    assert placed.at_s == pytest.approx(5.72)  # with what the driver takes


def test_a_burst_of_late_sound_is_placed_where_it_was_heard() -> None:
    timeline = Timeline()
    run(timeline, 5.0, start_s=0.0)
    arrived_s = 6.5  # one and a half seconds of nothing, then all of it at once
    placed = [timeline.place(BLOCK_S, arrived_s) for _ in range(15)]
    assert sum(p.lost_s for p in placed) == 0
    assert placed[0].at_s == pytest.approx(5.0, abs=0.03)
    assert placed[-1].at_s == pytest.approx(6.4, abs=0.03)
