"""The detector: one path for recordings and streams, and the faults that it has to find."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.simulator import RATE_HZ, Box
from edge.bundle import Bundle
from edge.detector import Detector, grid_nearest
from edge.errors import RecordingError
from edge.events import Event
from edge.nearest import Bank
from edge.scoring import Scored, score_recording
from tests.conftest import Site

FloatArray = NDArray[np.float32]


@pytest.fixture(scope="module")
def bundle(site: Site) -> Bundle:
    return site.open()


@pytest.fixture(scope="module")
def scored(site: Site, bundle: Bundle) -> Scored:
    return score_recording(bundle, site.day)


@dataclasses.dataclass(frozen=True)
class Found:
    """What a detector says in all, its events in the order in which a verdict lists them."""

    distances: FloatArray
    levels_db: FloatArray
    fast: FloatArray
    evidence: FloatArray
    events: list[Event]


def stream(bundle: Bundle, blocks: list[FloatArray], rate_hz: int = RATE_HZ) -> Found:
    detector = Detector(bundle, rate_hz=rate_hz)
    findings = [*(detector.push(block) for block in blocks), detector.finish()]
    fast = np.concatenate([part.fast.evidence for part in findings])
    slow = np.concatenate([part.slow.evidence for part in findings if part.slow is not None])
    events = [event for part in findings for event in part.events]
    return Found(
        np.concatenate([part.distances for part in findings]),
        np.concatenate([part.levels_db for part in findings]),
        fast,
        np.maximum(fast, slow),
        sorted(events, key=lambda event: (event.start_s, event.low_hz)),
    )


def finds(event: Event, fault: Box) -> bool:
    """The event begins and ends with the fault, and their boxes overlap in frequency."""
    return (
        abs(event.start_s - fault.start_s) <= 0.2
        and abs(event.end_s - fault.end_s) <= 0.2
        and fault.overlap(as_box(event)) > 0.2
    )


def as_box(event: Event) -> Box:
    return Box(event.start_s, event.end_s, event.low_hz, event.high_hz)


@given(cuts=st.lists(st.integers(0, 16 * RATE_HZ), max_size=40))
@settings(max_examples=6, deadline=None)
def test_a_stream_in_blocks_is_scored_as_the_recording_is_bit_for_bit(
    site: Site, bundle: Bundle, scored: Scored, cuts: list[int]
) -> None:
    found = stream(bundle, np.split(site.sound, sorted(cuts)))
    assert np.array_equal(found.distances, scored.distances)
    assert np.array_equal(found.levels_db, scored.levels_db)
    assert np.array_equal(found.evidence, scored.evidence)
    assert found.events == scored.verdict.events


def test_small_blocks_of_a_microphone_are_scored_as_the_recording_is(
    site: Site, bundle: Bundle, scored: Scored
) -> None:
    found = stream(bundle, np.split(site.sound, range(0, len(site.sound), 1_024)))
    assert np.array_equal(found.distances, scored.distances)
    assert found.events == scored.verdict.events


def test_each_true_fault_is_found_by_an_event_that_overlaps_it(site: Site, scored: Scored) -> None:
    for fault in site.truth:
        assert any(finds(event, fault) for event in scored.verdict.events)


def test_a_block_that_completes_no_window_adds_nothing_of_the_right_shape(bundle: Bundle) -> None:
    detector = Detector(bundle, rate_hz=RATE_HZ)
    nothing = detector.push(np.zeros(RATE_HZ // 100, np.float32))
    something = detector.push(np.zeros(10 * RATE_HZ, np.float32))
    assert nothing.slow is not None
    assert something.slow is not None
    assert nothing.events == []
    arrays: tuple[Any, ...] = (nothing.distances, nothing.levels_db, *nothing.fast, *nothing.slow)
    others: tuple[Any, ...] = (
        something.distances, something.levels_db, *something.fast, *something.slow
    )  # fmt: skip
    for array, other in zip(arrays, others, strict=True):
        assert array.shape == (0, other.shape[1])
        assert array.dtype == other.dtype


def test_there_is_no_event_elsewhere(site: Site, scored: Scored) -> None:
    for event in scored.verdict.events:
        assert max(fault.overlap(as_box(event)) for fault in site.truth) > 0


def test_normal_sound_has_no_event(site: Site, bundle: Bundle) -> None:
    for recording in sorted(site.normal.iterdir()):
        verdict = score_recording(bundle, recording).verdict
        assert not verdict.anomalous
        assert verdict.score < 1.0


def test_every_column_of_the_sound_has_distances_and_evidence(site: Site, scored: Scored) -> None:
    columns = round(len(site.sound) / RATE_HZ / 0.08)
    assert scored.distances.shape == scored.evidence.shape
    assert len(scored.distances) == columns


def test_an_event_is_told_while_the_sound_goes_on(site: Site, bundle: Bundle) -> None:
    detector = Detector(bundle, rate_hz=RATE_HZ)
    after_the_first_fault = round((site.truth[0].end_s + 4.5) * RATE_HZ)
    events = detector.push(site.sound[:after_the_first_fault]).events
    assert any(finds(event, site.truth[0]) for event in events)


def test_the_sounds_level_decides_nothing_until_it_is_in_the_map(
    site: Site, bundle: Bundle, scored: Scored
) -> None:
    """The gain is fixed by calibration: sound before a fault doesn't change the fault's map."""
    half = len(site.sound) // 2
    loud_first_half = np.concatenate([site.sound[:half] * np.float32(4), site.sound[half:]])
    found = stream(bundle, [loud_first_half])
    settled = round((site.truth[1].start_s - 1.0) / 0.08)
    assert np.array_equal(found.distances[settled:], scored.distances[settled:])


def test_a_sound_without_samples_is_scored_as_nothing(bundle: Bundle) -> None:
    found = stream(bundle, [])
    rows = Detector(bundle, rate_hz=RATE_HZ).rows
    assert found.distances.shape == found.evidence.shape == (0, rows)
    assert found.events == []


@pytest.mark.parametrize("samples", [1, 100, 3_840, 3_841, 40_000])
def test_a_short_sound_has_a_column_for_each_80_ms_begun(bundle: Bundle, samples: int) -> None:
    noise = np.random.default_rng(samples).normal(0, 0.02, samples).astype(np.float32)
    found = stream(bundle, [noise])
    assert len(found.distances) == len(found.evidence) == -(-samples // 3_840)
    assert np.isfinite(found.evidence).all()


def test_exact_silence_is_scored_like_any_sound(bundle: Bundle) -> None:
    found = stream(bundle, [np.zeros(2 * RATE_HZ, np.float32)])
    assert np.isfinite(found.evidence).all()


@pytest.mark.parametrize("rate_hz", [4_000, 8_000, 16_000])
def test_a_low_rate_scores_only_the_rows_that_it_can_hold(bundle: Bundle, rate_hz: int) -> None:
    detector = Detector(bundle, rate_hz=rate_hz)
    assert 0 < detector.rows < bundle.manifest.rows
    assert len(detector.row_edges_hz) == detector.rows + 1
    found = detector.push(np.zeros(2 * rate_hz, np.float32))
    assert found.distances.shape[1] == detector.rows
    assert detector.row_edges_hz[-2] < rate_hz / 2


def test_a_high_rate_scores_no_more_rows_than_were_learnt(bundle: Bundle) -> None:
    assert Detector(bundle, rate_hz=192_000).rows == bundle.manifest.rows


def test_a_rate_that_holds_no_row_is_one_clear_error(bundle: Bundle) -> None:
    with pytest.raises(RecordingError, match="100 Hz holds none"):
        Detector(bundle, rate_hz=100)


def test_two_detectors_of_one_bundle_do_not_disturb_each_other(
    site: Site, bundle: Bundle, scored: Scored
) -> None:
    one, other = Detector(bundle, rate_hz=RATE_HZ), Detector(bundle, rate_hz=RATE_HZ)
    distances = []
    for block in np.split(site.sound, range(0, len(site.sound), 50_000)):
        distances.append(one.push(block).distances)
        other.push(block[::-1])
    distances.append(one.finish().distances)
    assert np.array_equal(np.concatenate(distances), scored.distances)


def test_a_bundle_that_learnt_fewer_rows_scores_the_lowest_of_them(
    site: Site, bundle: Bundle, scored: Scored
) -> None:
    bands_db = bundle.manifest.bands_db[: 5 * bundle.manifest.backbone.bands_per_row]
    fewer = msgspec.structs.replace(bundle.manifest, rows=5, bands_db=bands_db)
    found = stream(dataclasses.replace(bundle, manifest=fewer), [site.sound])
    assert np.array_equal(found.distances, scored.distances[:, :5])
    # A column with an alarm in any row that is scored is left out of the long averages of all.
    calm = slice(0, 30)
    assert np.array_equal(found.fast[calm], stream(bundle, [site.sound]).fast[calm, :5])


def test_a_distance_is_euclidean_in_the_units_of_the_embedding() -> None:
    bank = Bank(np.array([[0, 0], [100, 100]], np.int8))
    embeddings = np.array([[[3, 4], [100, 100]], [[100, 97], [0, -1]]], np.int8)
    distances, rows = grid_nearest(bank, embeddings, np.float32(0.5))
    assert distances.tolist() == [[2.5, 0.0], [1.5, 0.5]]
    assert rows.tolist() == [[0, 1], [1, 0]]
