"""Sound to test a bundle on: without a hole, of one input, and not more than is wanted."""

from __future__ import annotations

import numpy as np

from edge.capture.sound import Block
from edge.live_sound import UNHEARD_S, LiveSound
from edge.self_test import SHORTEST_S, WANTED_S

RATE_HZ = 100


def block(
    seconds: float, *, cut: bool = False, rate_hz: int = RATE_HZ, value: float = 1.0
) -> Block:
    return Block(np.full(round(seconds * rate_hz), value, np.float32), rate_hz, 0.0, cut)


def test_it_is_enough_when_there_is_what_is_wanted_and_no_more_is_taken() -> None:
    sound = LiveSound()
    sound.hear("main", block(WANTED_S - 0.1), 0.0)
    assert not sound.is_enough
    sound.hear("main", block(0.1), 0.0)
    sound.hear("main", block(5.0, value=2.0), 0.0)
    assert sound.is_enough
    assert (len(sound.take()), sound.rate_hz) == (WANTED_S * RATE_HZ, RATE_HZ)
    assert sound.take().max() == 1.0


def test_a_hole_begins_it_anew() -> None:
    sound = LiveSound()
    sound.hear("main", block(SHORTEST_S - 1.0), 0.0)
    sound.hear("main", block(2.0, cut=True, value=2.0), 0.0)
    assert sound.duration_s == 2.0
    assert sound.take().min() == 2.0


def test_another_rate_begins_it_anew() -> None:
    sound = LiveSound()
    sound.hear("main", block(3.0), 0.0)
    sound.hear("main", block(2.0, rate_hz=200), 0.0)
    assert (sound.duration_s, sound.rate_hz) == (2.0, 200)


def test_what_there_is_before_a_hole_does_if_a_test_can_be_made_with_it() -> None:
    """A machine that pauses every half minute is tested too."""
    sound = LiveSound()
    sound.hear("main", block(SHORTEST_S), 0.0)
    assert not sound.is_enough
    sound.hear("main", block(2.0, cut=True, value=2.0), 0.0)
    assert sound.is_enough
    assert sound.take().max() == 1.0


def test_two_inputs_are_not_mixed_and_one_that_is_lost_makes_room() -> None:
    sound = LiveSound()
    sound.hear("one", block(3.0), 0.0)
    sound.hear("two", block(3.0, value=2.0), UNHEARD_S)
    sound.hear("one", block(1.0), UNHEARD_S)
    assert sound.take().max() == 1.0
    sound.hear("two", block(2.0, value=2.0), 2 * UNHEARD_S + 0.1)
    assert (sound.duration_s, sound.take().min()) == (2.0, 2.0)
