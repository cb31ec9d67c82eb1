"""The simulated machine: reproducible, and honest about where its faults are and how loud."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from calibration.simulator import FAULTS, LEVEL_DBFS, RATE_HZ, Box, Fault, Machine

Sound = NDArray[np.float64]
MACHINE = Machine(5)
DURATION_S, START_S, FAULT_S = 6.0, 2.0, 2.0


def level_db(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound**2) + 1e-30))


def band_power(sound: Sound, low_hz: float, high_hz: float, rate_hz: int = RATE_HZ) -> float:
    frequency_hz, power = signal.welch(sound, rate_hz, nperseg=min(len(sound), 16_384))
    inside = (frequency_hz >= low_hz) & (frequency_hz <= high_hz)
    return float(power[inside].sum())


def with_fault(kind: str, level: float = 12.0) -> tuple[Sound, Sound, Box]:
    """Normal sound, what the fault added to it, and the box."""
    normal = MACHINE.normal(DURATION_S, 1)
    sound, (box,) = MACHINE.with_faults(DURATION_S, 1, [Fault(kind, START_S, FAULT_S, level)])
    return normal, sound - normal, box


def during(sound: Sound, box: Box) -> Sound:
    return sound[round(box.start_s * RATE_HZ) : round(box.end_s * RATE_HZ)]


def test_the_same_seed_and_take_are_the_same_sound() -> None:
    assert np.array_equal(Machine(1).normal(2.0, 3), Machine(1).normal(2.0, 3))
    fault = [Fault("leak hiss", 0.5, 1.0)]
    first, second = (Machine(1).with_faults(2.0, 3, fault) for _ in range(2))
    assert np.array_equal(first[0], second[0])
    assert first[1] == second[1]


def test_another_take_is_the_same_machine_with_other_noise() -> None:
    first, second = MACHINE.normal(4.0, 0), MACHINE.normal(4.0, 1)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.5
    bands = [(20.0 * 2**i, 40.0 * 2**i) for i in range(9)]
    ratios = [band_power(first, *band) / band_power(second, *band) for band in bands]
    assert np.abs(10 * np.log10(ratios)).max() < 3.0


def test_another_seed_is_another_machine() -> None:
    assert Machine(1).shaft_hz != Machine(2).shaft_hz
    assert not np.array_equal(Machine(1).normal(1.0, 0), Machine(2).normal(1.0, 0))


@given(st.integers(0, 2**32), st.integers(0, 2**16), st.sampled_from([16_000, 48_000]))
@settings(max_examples=15, deadline=None)
def test_every_machine_runs_at_the_same_level_and_without_clipping(
    seed: int, take: int, rate_hz: int
) -> None:
    machine = Machine(seed, rate_hz)
    sound = machine.normal(2.0, take)
    assert len(sound) == 2 * rate_hz
    assert level_db(sound) == pytest.approx(LEVEL_DBFS, abs=1e-6)
    assert np.abs(sound).max() < 1.0
    assert 20.0 <= machine.shaft_hz <= 30.0


def test_the_strongest_line_is_a_multiple_of_the_shaft() -> None:
    sound = MACHINE.normal(8.0, 0)
    frequency_hz, power = signal.welch(sound, RATE_HZ, nperseg=4 * RATE_HZ)
    order = frequency_hz[np.argmax(power)] / MACHINE.shaft_hz
    assert order == pytest.approx(round(order), abs=0.1)


@pytest.mark.parametrize("kind", sorted(FAULTS))
@pytest.mark.parametrize("level", [6.0, 15.0])
def test_a_fault_is_as_loud_as_it_says_within_its_box(kind: str, level: float) -> None:
    normal, added, box = with_fault(kind, level)
    band = (box.low_hz, box.high_hz)
    against = band_power(during(added, box), *band) / band_power(normal, *band)
    assert 10 * np.log10(against) == pytest.approx(level, abs=1.5)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_adds_nothing_before_and_after_its_box(kind: str) -> None:
    _, added, box = with_fault(kind)
    outside = added.copy()
    during(outside, box)[:] = 0.0
    assert not outside.any()


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_adds_little_above_and_below_its_box(kind: str) -> None:
    _, added, box = with_fault(kind)
    inside = band_power(during(added, box), box.low_hz, box.high_hz)
    assert inside > 0.8 * band_power(during(added, box), 0.0, RATE_HZ / 2)


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_fault_fades_in_and_out_without_a_click(kind: str) -> None:
    _, added, box = with_fault(kind)
    part = during(added, box)
    assert part[0] == part[-1] == 0.0


@pytest.mark.parametrize("kind", sorted(FAULTS))
def test_a_box_is_a_part_of_what_can_be_heard(kind: str) -> None:
    _, _, box = with_fault(kind)
    assert (box.start_s, box.end_s) == (START_S, START_S + FAULT_S)
    assert 0 < box.low_hz < box.high_hz < RATE_HZ / 2


def test_a_fault_is_measured_against_normal_sound_and_not_against_an_earlier_fault() -> None:
    faults = [Fault("cavitation", 0.5, 2.0, 20.0), Fault("leak hiss", 3.5, 2.0, 12.0)]
    normal = MACHINE.normal(DURATION_S, 1)
    sound, (_, box) = MACHINE.with_faults(DURATION_S, 1, faults)
    band = (box.low_hz, box.high_hz)
    against = band_power(during(sound - normal, box), *band) / band_power(normal, *band)
    assert 10 * np.log10(against) == pytest.approx(12.0, abs=1.5)


def test_the_boxes_come_in_the_order_of_the_faults() -> None:
    faults = [Fault("leak hiss", 3.0, 1.0), Fault("imbalance", 0.5, 1.0)]
    _, boxes = MACHINE.with_faults(DURATION_S, 1, faults)
    assert [box.start_s for box in boxes] == [3.0, 0.5]


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (Box(0, 2, 100, 200), 1.0),
        (Box(1, 3, 100, 200), 1 / 3),
        (Box(0, 2, 150, 250), 1 / 3),
        (Box(2, 4, 100, 200), 0.0),
        (Box(5, 6, 500, 600), 0.0),
    ],
    ids=["itself", "half in time", "half in frequency", "touching", "apart"],
)
def test_overlap_is_intersection_over_union(other: Box, overlap: float) -> None:
    box = Box(0, 2, 100, 200)
    assert box.overlap(other) == pytest.approx(overlap)
    assert other.overlap(box) == pytest.approx(overlap)
