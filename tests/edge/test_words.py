"""What an operator reads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.words import (
    spoken_band,
    spoken_duration,
    spoken_level,
    spoken_rarity,
    spoken_rate,
    summary,
)


def test_a_summary_says_what_how_long_where_how_loud_and_how_rare() -> None:
    said = summary(
        duration_s=0.08, low_hz=3_100, high_hz=9_800, excess_db=18.2,
        false_alarms_per_day=0.01, learnt_s=2_520,
    )  # fmt: skip
    assert said == (
        "click, 80 ms, 3.1-9.8 kHz, 18 dB above normal; "
        "nothing like it in 42 minutes of calibration"
    )


def test_a_wide_event_is_called_broadband() -> None:
    said = summary(
        duration_s=2.0, low_hz=500, high_hz=12_000, excess_db=3.0,
        false_alarms_per_day=0.01, learnt_s=600,
    )  # fmt: skip
    assert said.startswith("broadband ")


@pytest.mark.parametrize(
    ("duration_s", "said"), [(0.08, "80 ms"), (2.44, "2.4 s"), (59.9, "59.9 s"), (180.0, "3 min")]
)
def test_durations_have_a_unit_that_fits(duration_s: float, said: str) -> None:
    assert spoken_duration(duration_s) == said


def test_low_bands_are_told_in_hertz_and_others_in_kilohertz() -> None:
    assert spoken_band(20, 160) == "20-160 Hz"
    assert spoken_band(340, 8_000) == "0.3-8.0 kHz"


@pytest.mark.parametrize(
    ("excess_db", "said"),
    [
        (12.4, "12 dB above normal"),
        (-6.0, "6 dB below normal"),
        (0.4, "no louder than normal"),
        (-0.9, "no louder than normal"),
    ],
)
def test_levels_are_told_against_normal(excess_db: float, said: str) -> None:
    assert spoken_level(excess_db) == said


def test_what_calibration_would_have_heard_by_chance_is_not_called_unheard_of() -> None:
    assert spoken_rarity(200.0, 600.0) == "normal sound does so 200 times a day"
    assert spoken_rarity(20.0, 600.0).startswith("nothing like it in 10 minutes")


@pytest.mark.parametrize(
    ("per_day", "said"),
    [
        (12_000.0, "12,000 times a day"),
        (1.0, "once a day"),
        (0.25, "once in 4 days"),
        (1 / 730, "once in 2 years"),
        (1e-6, "once in 2,740 years"),
    ],
)
def test_rates_are_told_as_a_person_would(per_day: float, said: str) -> None:
    assert spoken_rate(per_day) == said


@given(st.floats(1e-6, 1e6))
def test_every_rate_can_be_said(per_day: float) -> None:
    assert spoken_rate(per_day).startswith("once ") or spoken_rate(per_day).endswith(" a day")
