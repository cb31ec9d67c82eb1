"""An event in words: what it is like, how loud, and how rare."""

from __future__ import annotations

import pytest

from edge.words import (
    spoken_band,
    spoken_duration,
    spoken_level,
    spoken_rarity,
    summary,
    word_for,
)


@pytest.mark.parametrize(
    ("duration_s", "low_hz", "high_hz", "word"),
    [
        (0.4, 0.0, 500.0, "thump"),
        (0.4, 2_000.0, 9_000.0, "click"),
        (2.0, 0.0, 150.0, "hum"),
        (2.0, 1_000.0, 1_300.0, "tone"),
        (2.0, 5_000.0, 6_000.0, "squeal"),
        (2.0, 2_000.0, 12_000.0, "hiss"),
        (2.0, 100.0, 1_500.0, "rumble"),
        (2.0, 100.0, 8_000.0, "noise"),
    ],
)
def test_a_word_for_each_shape(duration_s: float, low_hz: float, high_hz: float, word: str) -> None:
    assert word_for(duration_s, low_hz, high_hz) == word


@pytest.mark.parametrize(
    ("duration_s", "spoken"), [(0.08, "80 ms"), (2.4, "2.4 s"), (59.9, "59.9 s"), (180.0, "3 min")]
)
def test_a_duration_is_spoken_in_the_unit_that_fits(duration_s: float, spoken: str) -> None:
    assert spoken_duration(duration_s) == spoken


@pytest.mark.parametrize(
    ("low_hz", "high_hz", "spoken"),
    [(8.5, 43.5, "8-44 Hz"), (100.0, 999.0, "100-999 Hz"), (900.0, 2_000.0, "0.9-2.0 kHz")],
)
def test_a_band_is_spoken_in_hz_where_it_is_low(low_hz: float, high_hz: float, spoken: str) -> None:
    assert spoken_band(low_hz, high_hz) == spoken


@pytest.mark.parametrize(
    ("excess_db", "spoken"),
    [
        (14.2, "14 dB above normal"),
        (-6.0, "6 dB below normal"),
        (0.9, "no louder than normal"),
        (-0.9, "no louder than normal"),
    ],
)
def test_a_level_is_spoken_against_normal(excess_db: float, spoken: str) -> None:
    assert spoken_level(excess_db) == spoken


@pytest.mark.parametrize(
    ("per_day", "learnt_s", "spoken"),
    [
        (0.5, 45.0, "nothing like it in 45 s of calibration"),
        (0.5, 600.0, "nothing like it in 10 minutes of calibration"),
        (0.5, 7_200.0, "nothing like it in 2 hours of calibration"),
        (288.0, 600.0, "normal sound does so about 288 times a day"),
    ],
)
def test_what_calibration_can_not_have_heard_is_told_as_never_heard(
    per_day: float, learnt_s: float, spoken: str
) -> None:
    assert spoken_rarity(per_day, learnt_s) == spoken


def test_a_summary_is_one_line_of_shape_duration_band_level_and_rarity() -> None:
    line = summary(
        duration_s=2.4,
        low_hz=500.0,
        high_hz=9_000.0,
        excess_db=12.0,
        false_alarms_per_day=0.01,
        learnt_s=600.0,
    )
    assert line == (
        "broadband noise, 2.4 s, 0.5-9.0 kHz, 12 dB above normal; "
        "nothing like it in 10 minutes of calibration"
    )
