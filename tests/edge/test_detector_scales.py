"""Each kind of sound is found at its own scale, and told once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec import structs

from calibration.simulator import RATE_HZ, Fault
from edge.detector import Detector
from tests.conftest import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.events import Event
    from edge.scales import Scale
    from tests.conftest import Site

    FloatArray = NDArray[np.float32]

TAKE, LENGTH_S = 77, 30.0
# The longest of the scales against the seconds around, the shortest against all normal sound.
SHORT_S, LONG_S = 0.72, 2.9
IMBALANCE = Fault("imbalance", 15.0, 30.0, level_db=-3.0)  # quieter than the shaft itself


@pytest.fixture(scope="module")
def bundle(site: Site) -> Bundle:
    return site.open()


def events_of(bundle: Bundle, sound: NDArray[np.float64], cuts: list[int]) -> list[Event]:
    detector = Detector(bundle, rate_hz=RATE_HZ)
    blocks = np.split(sound.astype(np.float32), sorted(cuts))
    findings = [*(detector.push(block) for block in blocks), detector.finish()]
    events = [event for part in findings for event in part.events]
    return sorted(events, key=lambda event: (event.start_s, event.low_hz, event.scale_s))


def faulty(*faults: Fault, duration_s: float = LENGTH_S) -> NDArray[np.float64]:
    return MACHINE.with_faults(duration_s, TAKE, faults)[0]


def with_clicks(times_s: list[float], duration_s: float = LENGTH_S) -> NDArray[np.float64]:
    """Ten milliseconds of noise each."""
    sound, length = MACHINE.normal(duration_s, TAKE), RATE_HZ // 100
    for time_s in times_s:
        first = round(time_s * RATE_HZ)
        sound[first : first + length] += np.random.default_rng(3).normal(0, 0.05, length)
    return sound


def with_drips(times_s: list[float]) -> NDArray[np.float64]:
    """A ring of 3 kHz that dies away in some hundredths of a second."""
    sound, time = MACHINE.normal(LENGTH_S, TAKE), np.arange(RATE_HZ // 12) / RATE_HZ
    ring = 0.15 * np.exp(-time / 0.015) * np.sin(2 * np.pi * 3_000 * time)
    for time_s in times_s:
        first = round(time_s * RATE_HZ)
        sound[first : first + len(ring)] += ring
    return sound


def around(event: Event, time_s: float) -> bool:
    return event.start_s <= time_s + 0.2 and time_s - 0.2 <= event.end_s


def test_the_same_sound_without_a_fault_has_no_event(bundle: Bundle) -> None:
    assert events_of(bundle, MACHINE.normal(2 * LENGTH_S, TAKE), []) == []


def test_a_click_is_found_by_a_short_scale(bundle: Bundle) -> None:
    (event,) = events_of(bundle, with_clicks([12.3]), [])
    assert around(event, 12.3)
    assert event.scale_s <= SHORT_S


def test_each_drip_of_one_every_two_seconds_is_an_event_of_a_short_scale(bundle: Bundle) -> None:
    times_s = [3.0 + 2.0 * number for number in range(12)]
    events = events_of(bundle, with_drips(times_s), [])
    for time_s in times_s:
        assert [event.scale_s <= SHORT_S for event in events if around(event, time_s)] == [True]
    assert len(events) == len(times_s)


def test_a_squeal_is_one_event_as_long_as_it_lasts(bundle: Bundle) -> None:
    events = events_of(bundle, faulty(Fault("belt squeal", 12.0, 2.0, level_db=8.0)), [])
    (event,) = events
    assert abs(event.start_s - 12.0) <= 0.2
    assert abs(event.end_s - 14.0) <= 0.2
    assert event.scale_s < LONG_S
    assert event.excess_db >= 3.0


def test_a_slow_imbalance_of_small_deviation_is_found_only_over_seconds(bundle: Bundle) -> None:
    events = events_of(bundle, faulty(IMBALANCE, duration_s=60.0), [])
    assert any(around(event, 30.0) or around(event, 20.0) for event in events)
    for event in events:
        assert event.scale_s >= LONG_S
        assert event.low_hz < MACHINE.shaft_hz < event.high_hz


def with_units(bundle: Bundle, factor: Callable[[Scale], float]) -> Bundle:
    """A bundle some of whose scales find more, or nothing at all."""
    from dataclasses import replace  # noqa: PLC0415

    manifest = bundle.manifest
    scales = [structs.replace(s, unit=s.unit * factor(s)) for s in manifest.thresholds.scales]
    thresholds = structs.replace(manifest.thresholds, scales=scales)
    return replace(bundle, manifest=structs.replace(manifest, thresholds=thresholds))


def overlap(one: Event, other: Event) -> bool:
    return (
        one.start_s < other.end_s
        and other.start_s < one.end_s
        and one.low_hz < other.high_hz
        and other.low_hz < one.high_hz
    )


def is_slow(event: Event) -> bool:
    return event.scale_s >= 100 * 0.08


def test_what_a_fast_scale_has_told_of_is_not_told_again_by_a_slow_one(bundle: Bundle) -> None:
    sound = faulty(louder(IMBALANCE), duration_s=60.0)
    slow_alone = with_units(bundle, lambda scale: 1.0 if scale.columns > 100 else 1e6)
    late, events = events_of(slow_alone, sound, []), events_of(bundle, sound, [])
    fast = [event for event in events if not is_slow(event)]
    assert any(overlap(event, told) for event in late for told in fast)
    for event in filter(is_slow, events):
        assert not any(overlap(event, told) for told in fast)


def louder(fault: Fault) -> Fault:
    return Fault(fault.kind, fault.start_s, fault.duration_s, fault.level_db + 6.0)


def test_what_only_a_slow_scale_finds_is_told(bundle: Bundle) -> None:
    clicks = with_clicks([4.0], 60.0) - MACHINE.normal(60.0, TAKE)
    sound = faulty(IMBALANCE, duration_s=60.0) + clicks
    deaf = with_units(bundle, lambda scale: {37: 20.0, 125: 0.7}.get(scale.columns, 1.0))
    events = events_of(deaf, sound, [])
    assert [event.scale_s <= SHORT_S for event in events if around(event, 4.0)] == [True]
    assert any(is_slow(event) and event.start_s > 10.0 for event in events)


@pytest.mark.parametrize("block_s", [0.5, 7.0])
def test_what_is_told_of_fast_and_slow_events_is_the_same_however_the_sound_is_cut(
    bundle: Bundle, block_s: float
) -> None:
    """With scales so sensitive that both stages find something all the time."""
    nervous = with_units(bundle, lambda scale: 0.4 if scale.columns > 100 else 0.6)
    sound = faulty(louder(IMBALANCE), duration_s=60.0)
    at_once = events_of(nervous, sound, [])
    assert any(map(is_slow, at_once))
    cuts = list(range(0, len(sound), round(block_s * RATE_HZ)))
    assert events_of(nervous, sound, cuts) == at_once


def test_an_event_names_a_calibration_recording_and_a_second_in_it(
    site: Site, bundle: Bundle
) -> None:
    (event,) = events_of(bundle, with_clicks([12.3]), [])
    assert event.nearest_recording in {path.name for path in site.normal.iterdir()}
    assert 0.0 <= event.nearest_s < 20.0


def test_a_strong_event_is_one_that_normal_sound_would_hardly_ever_give(bundle: Bundle) -> None:
    (event,) = events_of(bundle, with_clicks([12.3]), [])
    assert event.score > 2.0
    assert event.false_alarms_per_day < 0.01
