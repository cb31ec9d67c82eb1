"""Faults that are added to sound: where they should be, as loud as they should be, nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from edge.synthetic_fault import SyntheticFault, with_fault

RATE_HZ = 16_000
NOISE = np.random.default_rng(0).standard_normal(8 * RATE_HZ).astype(np.float32) * np.float32(0.01)


def band_db(sound: NDArray[np.float32], low: float, high: float) -> float:
    frequency_hz, power = signal.welch(sound, RATE_HZ, nperseg=4_096)
    inside = (frequency_hz >= low) & (frequency_hz <= high)
    return float(10 * np.log10(power[inside].sum()))


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["hiss", "tone"]),
    start_s=st.floats(0, 6),
    level_db=st.floats(6, 30),
    low_hz=st.floats(300, 1_900),
)
def test_a_fault_is_so_much_louder_than_its_band_and_ends_where_it_says(
    kind: str, start_s: float, level_db: float, low_hz: float
) -> None:
    fault = SyntheticFault(kind, start_s, 2.0, low_hz, 2 * low_hz, level_db)
    faulty = with_fault(NOISE, RATE_HZ, fault)
    first, last = round(start_s * RATE_HZ), round(start_s * RATE_HZ) + 2 * RATE_HZ
    assert np.array_equal(faulty[:first], NOISE[:first])
    assert np.array_equal(faulty[last:], NOISE[last:])
    added = faulty[first:last] - NOISE[first:last]
    raised_db = band_db(added, low_hz, 2 * low_hz) - band_db(NOISE, low_hz, 2 * low_hz)
    assert raised_db == pytest.approx(level_db, abs=2.5)
    if 4 * low_hz < RATE_HZ / 2:
        above_db = band_db(added, 4 * low_hz, RATE_HZ / 2)
        assert above_db < band_db(added, low_hz, 2 * low_hz) - 10


def test_the_sound_itself_is_left_as_it_was() -> None:
    before = NOISE.copy()
    with_fault(NOISE, RATE_HZ, SyntheticFault("hiss", 1.0, 1.0, 500.0, 900.0, 20.0))
    assert np.array_equal(NOISE, before)


def test_a_band_without_any_sound_gets_a_fault_too() -> None:
    faulty = with_fault(np.zeros_like(NOISE), RATE_HZ, SyntheticFault("tone", 1, 1, 500, 900, 40))
    assert 0 < np.abs(faulty).max() < 1e-3


@pytest.mark.parametrize(
    "fault",
    [
        SyntheticFault("hiss", -0.1, 1.0, 500.0, 900.0, 20.0),
        SyntheticFault("hiss", 7.5, 1.0, 500.0, 900.0, 20.0),
        SyntheticFault("hiss", 1.0, 1.0, 500.0, 8_000.0, 20.0),
        SyntheticFault("hiss", 1.0, 1.0, 0.0, 900.0, 20.0),
        SyntheticFault("hiss", 1.0, 1.0, 900.0, 500.0, 20.0),
    ],
)
def test_a_fault_that_does_not_fit_is_refused(fault: SyntheticFault) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        with_fault(NOISE, RATE_HZ, fault)


def test_hum_far_below_the_band_does_not_make_the_fault_louder() -> None:
    hum = np.sin(2 * np.pi * 50.3 * np.arange(len(NOISE)) / RATE_HZ).astype(np.float32)
    fault = SyntheticFault("hiss", 1.0, 2.0, 1_000.0, 2_000.0, 20.0)
    alone = with_fault(NOISE, RATE_HZ, fault) - NOISE
    beside = with_fault(NOISE + hum, RATE_HZ, fault) - (NOISE + hum)
    assert np.abs(alone - beside).max() < 0.02 * np.abs(alone).max()
