"""Plain level alarms: louder than so much, in a band, for so long."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.capture.level import STEP_S, LevelWatch, Loud
from edge.capture.settings import LevelRule
from edge.capture.sound import Block

FloatArray = NDArray[np.float32]

RATE_HZ = 16_000


def tone(level_dbfs: float, hz: float, seconds: float, rate_hz: int = RATE_HZ) -> FloatArray:
    """A sine of that root mean square."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(
        10 ** (level_dbfs / 20) * math.sqrt(2) * np.sin(2 * np.pi * hz * times), np.float32
    )


def hear(
    watch: LevelWatch, samples: FloatArray, *, at_s: float = 0.0, rate_hz: int = RATE_HZ,
    cut: bool = False, size: int = 1_600,
) -> list[Loud]:  # fmt: skip
    """Blocks of it, as they come."""
    for first in range(0, len(samples), size):
        block = Block(
            samples[first : first + size], rate_hz, at_s + first / rate_hz, cut and not first
        )
        watch.hear(block)
    return watch.take()


def rule(above_dbfs: float = -30.0, for_s: float = 1.0, **more: float) -> LevelRule:
    return LevelRule(name="loud", above_dbfs=above_dbfs, for_s=for_s, **more)


@given(
    level_dbfs=st.floats(-60, -6), hz=st.floats(300, 3_000), seconds=st.floats(2.0, 4.0),
    size=st.integers(100, 5_000),
)  # fmt: skip
@settings(max_examples=30, deadline=None)
def test_a_tone_is_as_loud_as_it_is(
    level_dbfs: float, hz: float, seconds: float, size: int
) -> None:
    """E15: within half a decibel, whatever the blocks are, in its band and in no other."""
    sound = tone(level_dbfs, hz, seconds)
    bands = {"low_hz": hz / 1.5, "high_hz": hz * 1.5}
    for more in ({}, bands):
        below, above = rule(level_dbfs - 0.5, **more), rule(level_dbfs + 0.5, **more)
        assert hear(LevelWatch((above,)), sound, size=size) == []
        (loud,) = hear(LevelWatch((below,)), sound, size=size)
        assert loud.level_dbfs == pytest.approx(level_dbfs, abs=0.5)
    beside = rule(level_dbfs - 20.0, low_hz=hz * 2, high_hz=hz * 2.5)
    found = hear(LevelWatch((beside,)), sound, size=size)
    assert not found, "a tone is heard outside of its band"


@pytest.mark.parametrize("for_s", [0.125, 1.0, 2.5])
def test_it_is_told_as_soon_as_it_has_lasted(for_s: float) -> None:
    sound = np.concatenate([tone(-60, 500, 1.0), tone(-20, 500, 4.0)])
    (loud,) = hear(LevelWatch((rule(for_s=for_s),)), sound, at_s=100.0)
    assert loud.start_s == pytest.approx(101.0)
    assert loud.end_s == pytest.approx(101.0 + math.ceil(for_s / STEP_S) * STEP_S)


def test_what_is_over_sooner_is_not_told() -> None:
    sound = np.concatenate([tone(-20, 500, 0.8), tone(-60, 500, 0.5), tone(-20, 500, 0.8)])
    assert hear(LevelWatch((rule(for_s=1.0),)), sound) == []


def test_it_is_told_once_until_it_has_fallen_clearly() -> None:
    """A level that wavers about its limit is one alarm; one that falls by 3 dB may come again."""
    wavers = [tone(level, 500, 1.5) for level in (-28, -31, -28, -32, -28)]
    assert len(hear(LevelWatch((rule(for_s=0.5),)), np.concatenate(wavers))) == 1
    falls = [tone(level, 500, 1.5) for level in (-28, -40, -28, -40, -28)]
    assert len(hear(LevelWatch((rule(for_s=0.5),)), np.concatenate(falls))) == 3


def test_a_hole_begins_the_count_anew() -> None:
    watch = LevelWatch((rule(for_s=1.0),))
    assert hear(watch, tone(-20, 500, 0.8)) == []
    assert hear(watch, tone(-20, 500, 0.8), at_s=5.0, cut=True) == []
    (loud,) = hear(watch, tone(-20, 500, 0.5), at_s=5.8)
    assert loud.start_s == pytest.approx(5.0)


def test_another_rate_begins_the_count_anew() -> None:
    watch = LevelWatch((rule(for_s=1.0, low_hz=400.0, high_hz=600.0),))
    assert hear(watch, tone(-20, 500, 0.9)) == []
    (loud,) = hear(watch, tone(-20, 500, 2.0, 48_000), at_s=0.9, rate_hz=48_000, cut=True)
    assert (loud.low_hz, loud.high_hz) == (400.0, 600.0)
    assert loud.level_dbfs == pytest.approx(-20, abs=0.5)


def test_digital_silence_is_never_loud() -> None:
    assert hear(LevelWatch((rule(-120.0, 0.125),)), np.zeros(RATE_HZ, np.float32)) == []


def test_each_rule_is_watched_for_itself() -> None:
    low = LevelRule(name="hum", above_dbfs=-30.0, for_s=0.5, high_hz=200.0)
    high = LevelRule(name="hiss", above_dbfs=-30.0, for_s=0.5, low_hz=2_000.0)
    watch = LevelWatch((low, high))
    sound = np.concatenate([tone(-20, 100, 1.0), tone(-20, 5_000, 1.0)])
    assert [loud.rule.name for loud in hear(watch, sound)] == ["hum", "hiss"]


def test_a_band_that_can_t_be_heard_is_said_and_never_loud(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sound = tone(-3.1, 3_900, 2.0, 8_000)
    assert hear(LevelWatch((rule(-100.0, 0.125, low_hz=5_000.0),)), sound, rate_hz=8_000) == []
    assert "nothing above 4000 Hz is heard" in caplog.text
