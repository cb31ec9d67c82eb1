"""An input is heard, or it isn't: what is fit to be scored, and which state is told.

Section E of the field cases is here: E01, E02, E03 (silence from a device that opens fine), E09
(wrong parameters that give silence); what a real sound server does in `test_virtual_microphone`.
E07 and E08 are met by the unit, which uses no session's sound server; E10 and E12 by the watchdog.
"""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.capture.liveness import Liveness
from edge.capture.settings import LivenessSettings
from edge.capture.sound import Block, Outage, State

FloatArray = NDArray[np.float32]

RATE_HZ = 16_000
BLOCK_S = 0.1
SIZE = round(BLOCK_S * RATE_HZ)
ALL = np.arange(SIZE)
Kind = str


def block(kind: Kind, index: int) -> Block:
    """A tenth of a second of one kind of sound; good sound never repeats."""
    noise = 0.05 * np.random.default_rng(index).normal(size=SIZE)
    buffer = 0.05 * np.random.default_rng(10**6).normal(size=SIZE)
    samples = {
        "good": noise,
        "loud": np.clip(40 * noise, -1, 1),
        "zeros": np.zeros(SIZE),
        "constant": np.full(SIZE, 0.25),
        "faint": 1e-5 * noise,
        "frozen": buffer,
        "frozen in other pieces": np.take(buffer[:1_000], index * SIZE + ALL, mode="wrap"),
        "clipped": np.clip(40 * noise, -1, 1),
    }[kind]
    share = 0.6 if kind in {"clipped", "loud"} else 0.0
    return Block(np.asarray(samples, np.float32), RATE_HZ, index * BLOCK_S, clipped_share=share)


def state_of(liveness: Liveness) -> str:
    """As it is now."""
    return liveness.state


def hear(liveness: Liveness, kind: Kind, seconds: float, start: int = 0) -> list[Block]:
    released = []
    for index in range(start, start + round(seconds / BLOCK_S)):
        released += liveness.hear(block(kind, index))
    return released


def heard(seconds: float = 2.0) -> Liveness:
    """An input that is heard already."""
    liveness = Liveness(LivenessSettings())
    hear(liveness, "good", seconds)
    assert state_of(liveness) == "hearing"
    return liveness


@pytest.mark.parametrize(
    ("kind", "state", "after_s", "reason"),
    [
        ("zeros", "silent", 1.0, "digital silence"),
        ("constant", "silent", 1.0, "every sample is 0.25"),
        ("faint", "silent", 1.0, "less than a microphone's own noise"),
        ("frozen", "frozen", 0.6, "the same samples again"),
        ("frozen in other pieces", "frozen", 0.6, "the same samples again"),
        ("clipped", "clipped", 1.0, "60% of the samples at full scale"),
    ],
)
def test_bad_sound_becomes_a_state_with_a_name_and_a_reason(
    kind: Kind, state: State, after_s: float, reason: str
) -> None:
    """E01, E02, E03, E09: a microphone that opens and gives nothing is told apart from quiet."""
    liveness = heard()
    hear(liveness, kind, after_s - BLOCK_S, start=20)
    assert state_of(liveness) == "hearing"
    hear(liveness, kind, 2 * BLOCK_S, start=20 + round(after_s / BLOCK_S) - 1)
    assert state_of(liveness) == state
    assert reason in liveness.reason


@pytest.mark.parametrize("kind", ["zeros", "constant", "faint", "frozen", "frozen in other pieces"])
def test_nothing_of_bad_sound_nor_of_what_borders_on_it_is_scored(kind: Kind) -> None:
    """E01: the onset of silence would look like a fault, silence itself like a quiet machine."""
    liveness = Liveness(LivenessSettings())
    released = hear(liveness, "good", 2.0) + hear(liveness, kind, 3.0, start=20)
    released += hear(liveness, "good", 2.0, start=50) + liveness.end(7.0)
    good = [b for b in released if not np.array_equal(b.samples, block(kind, 20).samples)]
    first = 1 if "frozen" in kind else 0  # nobody can know that the first one will come again
    assert len(released) - len(good) <= first
    times = [round(b.at_s, 1) for b in released]
    assert max(t for t in times if t < 4.0) <= 2.0
    assert min(t for t in times if t >= 4.0) == 5.1, "the first may be silent in part"
    assert [b.cut for b in released if b.at_s >= 4.0] == [True] + [False] * 18


def test_a_loud_moment_is_scored_and_clipping_for_long_is_not() -> None:
    liveness = heard()
    assert len(hear(liveness, "loud", 0.5, start=20)) == 5
    assert state_of(liveness) == "hearing"
    hear(liveness, "clipped", 1.0, start=25)
    assert state_of(liveness) == "clipped"
    assert hear(liveness, "clipped", 2.0, start=40) == []


def test_sound_is_believed_after_half_a_second_and_none_of_it_is_lost() -> None:
    liveness = Liveness(LivenessSettings())
    assert hear(liveness, "good", 0.4) == []
    assert state_of(liveness) == "starting"
    released = hear(liveness, "good", 0.1, start=4)
    assert state_of(liveness) == "hearing"
    assert [round(b.at_s, 1) for b in released] == [0.0, 0.1, 0.2, 0.3]
    assert [round(b.at_s, 1) for b in liveness.end(0.5)] == [0.4]


def test_a_recording_too_short_to_be_believed_is_still_given() -> None:
    liveness = Liveness(LivenessSettings())
    hear(liveness, "good", 0.2)
    assert len(liveness.end(0.2)) == 2


def test_what_came_before_an_outage_is_scored_and_what_comes_after_is_cut() -> None:
    """D08: capture resumes, and the hole is marked."""
    liveness = heard()
    last = liveness.missing(Outage("stalled", "no samples for 2.0 s", 4.0))
    assert [round(b.at_s, 1) for b in last] == [1.9]
    assert state_of(liveness) == "stalled"
    liveness.missing(Outage("absent", "no microphone", 4.5))
    assert state_of(liveness) == "absent"
    assert hear(liveness, "good", 0.4, start=60) == []
    assert state_of(liveness) == "recovering"
    released = hear(liveness, "good", 0.5, start=64)
    assert state_of(liveness) == "hearing"
    assert released[0].cut
    assert not any(b.cut for b in released[1:])


def test_a_digital_dropout_too_short_for_a_state_is_still_a_hole() -> None:
    liveness = heard()
    released = hear(liveness, "zeros", 0.2, start=20) + hear(liveness, "good", 1.0, start=22)
    assert state_of(liveness) == "hearing"
    assert [b.cut for b in released] == [True] + [False] * (len(released) - 1)
    assert round(released[0].at_s, 1) == 2.3


KINDS = ["good", "loud", "zeros", "constant", "faint", "frozen", "clipped", "outage"]


@given(runs=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(1, 25)), max_size=12))
@example(runs=[("zeros", 1), ("loud", 1), ("good", 2)])
@settings(max_examples=80, deadline=None)
def test_whatever_comes_order_and_holes_are_kept(runs: list[tuple[Kind, int]]) -> None:
    """Released blocks are in order, none comes twice, and a hole is always marked, and only one."""
    liveness = Liveness(LivenessSettings())
    released: list[Block] = []
    index = 0
    for kind, count in runs:
        for _ in range(count):
            if kind == "outage":
                released += liveness.missing(Outage("stalled", "", index * BLOCK_S))
            else:
                found = liveness.hear(block(kind, index))
                assert state_of(liveness) == "hearing" or not found
                released += found
            index += 1
    released += liveness.end(index * BLOCK_S)
    for earlier, later in pairwise(released):
        assert later.at_s > earlier.at_s
        assert later.cut == (later.at_s > earlier.end_s + 1e-6)
