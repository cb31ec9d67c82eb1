"""How well a system detects and localises, on cases whose answer is known beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from convert.evaluation_metrics import (
    PRO_LIMIT,
    PRO_POINTS,
    aupro,
    cell_metrics,
    clip_metrics,
    event_metrics,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Mask = NDArray[np.bool_]

COLUMN_S = 0.08
COLUMNS = 100


def boxes(*spans: tuple[int, int, int, int], shape: tuple[int, int] = (12, 16)) -> Mask:
    """A mask with boxes: first and last column, first and last row, ends excluded."""
    mask = np.zeros(shape, bool)
    for first, last, low, high in spans:
        mask[first:last, low:high] = True
    return mask


def event(first: int, last: int) -> Mask:
    return boxes((first, last, 0, 1), shape=(COLUMNS, 1))


def curve(mask: Mask) -> Map:
    return mask[:, 0].astype(np.float32) * 2


def aupro_by_definition(maps: list[Map], masks: list[Mask]) -> float:
    """Every distinct value as a threshold; straight lines between the points of the curve."""
    values, outside = np.concatenate(maps).ravel(), ~np.concatenate(masks).ravel()
    regions = [
        values_of[labels == number]
        for values_of, mask in zip(maps, masks, strict=True)
        for labels, count in [ndimage.label(mask)]
        for number in range(1, count + 1)
    ]
    rates, overlaps = [0.0], [0.0]
    for threshold in np.unique(values)[::-1]:
        rates.append(float(np.mean(values[outside] >= threshold)))
        overlaps.append(float(np.mean([np.mean(region >= threshold) for region in regions])))
    fine = np.linspace(0, PRO_LIMIT, 20_001)
    return float(np.interp(fine, rates, overlaps).mean())


def test_clips_told_apart_score_one_and_clips_mixed_up_score_zero() -> None:
    anomalous = [False] * 6 + [True] * 4
    apart = clip_metrics(list(range(10)), anomalous)
    assert (apart.auc, apart.auc_high, apart.pauc) == (1, 1, 1)
    assert apart.auc_low == pytest.approx(1)
    assert clip_metrics(list(range(10, 0, -1)), anomalous).auc == 0


def test_auc_is_the_share_of_pairs_in_order_and_a_tie_counts_half() -> None:
    """Of six pairs, (1, 2), (1, 2), (2, 2), (2, 2), (3, 2), (3, 2): two in order, two tied."""
    found = clip_metrics([1, 2, 3, 2, 2], [False, False, False, True, True])
    assert found.auc == pytest.approx((2 + 0.5 * 2) / 6)


def test_one_score_for_all_clips_is_chance() -> None:
    found = clip_metrics([7.0] * 8, [False, True] * 4)
    assert (found.auc, found.auc_low, found.auc_high, found.pauc) == (0.5, 0.5, 0.5, 0.5)


def test_pauc_sees_only_the_first_tenth_of_false_alarms() -> None:
    """One normal clip of ten above every anomalous one: no anomaly is found within that tenth."""
    scores = [9.0] + [1.0] * 9 + [5.0] * 10
    found = clip_metrics(scores, [False] * 10 + [True] * 10)
    assert found.auc == pytest.approx(0.9)
    lowest, highest = 0.5 * 0.1**2, 0.1
    assert found.pauc == pytest.approx(0.5 * (1 + (0 - lowest) / (highest - lowest)))


@given(st.integers(0, 2**32), st.integers(5, 30), st.floats(-1, 2))
@settings(max_examples=4, deadline=None)
def test_the_interval_contains_the_auc_and_shrinks_with_more_clips(
    seed: int, count: int, shift: float
) -> None:
    random = np.random.default_rng(seed)
    scores = np.concatenate([random.normal(0, 1, count), random.normal(shift, 1, count)])
    anomalous = np.repeat([False, True], count)
    few = clip_metrics(list(scores), list(anomalous))
    many = clip_metrics(list(np.tile(scores, 9)), list(np.tile(anomalous, 9)))
    assert few.auc_low <= few.auc <= few.auc_high
    assert many.auc == pytest.approx(few.auc)
    assert many.auc_high - many.auc_low <= few.auc_high - few.auc_low
    assert clip_metrics(list(scores), list(anomalous)) == few


def test_a_perfect_map_scores_one_and_its_inverse_zero() -> None:
    masks = [boxes((2, 5, 3, 6)), boxes((0, 4, 10, 16), (8, 12, 0, 2))]
    perfect = cell_metrics([m.astype(np.float32) for m in masks], masks)
    assert (perfect.auroc, perfect.average_precision, perfect.aupro) == (1, 1, 1)
    inverted = cell_metrics([1 - m.astype(np.float32) for m in masks], masks)
    assert (inverted.auroc, inverted.aupro) == (0, 0)
    share = np.mean(masks)
    assert inverted.average_precision == pytest.approx(share)


@given(st.integers(0, 2**32), st.integers(1, 3), st.floats(0, 3))
@settings(max_examples=40, deadline=None)
def test_aupro_is_the_area_under_the_curve_of_its_definition(
    seed: int, clips: int, strength: float
) -> None:
    random = np.random.default_rng(seed)
    masks = []
    for _ in range(clips):
        column, row = random.integers(0, 8), random.integers(0, 12)
        masks.append(boxes((column, column + 4, row, row + 3), (0, 1, 0, 1)))
    maps = [(random.normal(0, 1, m.shape) + strength * m).astype(np.float32) for m in masks]
    outside = sum(int((~m).sum()) for m in masks)
    tolerance = (1 / outside + 2 * PRO_LIMIT / PRO_POINTS) / PRO_LIMIT
    assert aupro(maps, masks) == pytest.approx(aupro_by_definition(maps, masks), abs=tolerance)


def test_aupro_counts_regions_and_not_cells() -> None:
    """A region of one cell weighs as much as one of thirty."""
    mask = boxes((0, 5, 0, 6), (9, 10, 9, 10))
    found = np.zeros(mask.shape, np.float32)
    found[9, 9] = 2
    found[~mask] = np.linspace(0.5, 1, (~mask).sum())
    assert aupro([found], [mask]) == pytest.approx(0.5)


def test_a_region_of_one_cell_is_found_or_not() -> None:
    mask = boxes((4, 5, 7, 8))
    below = np.random.default_rng(0).uniform(0, 1, mask.shape).astype(np.float32)
    above = below.copy()
    below[4, 7], above[4, 7] = -1, 2
    assert aupro([below], [mask]) == 0
    assert aupro([above], [mask]) == 1


def test_a_map_of_one_value_is_worth_no_more_than_chance() -> None:
    mask = boxes((2, 5, 3, 6))
    flat = np.zeros(mask.shape, np.float32)
    assert aupro([flat], [mask]) == pytest.approx(PRO_LIMIT / 2, abs=0.01)


def test_a_perfect_curve_finds_every_event_at_its_alarm_level() -> None:
    masks = [event(20, 50), event(60, 75), event(0, 0)]
    found = event_metrics([curve(m) for m in masks], masks, COLUMN_S, 1.0)
    assert found.psds == pytest.approx(1)
    assert found.f1_at_alarm == pytest.approx(1)


def test_a_curve_high_only_between_events_finds_none() -> None:
    masks = [event(20, 50), event(60, 75)]
    found = event_metrics([2 - curve(m) for m in masks], masks, COLUMN_S, 1.0)
    assert (found.psds, found.f1_at_alarm) == (0, 0)


def test_a_system_without_an_alarm_level_has_no_f1() -> None:
    found = event_metrics([curve(event(20, 50))], [event(20, 50)], COLUMN_S, None)
    assert found.psds == pytest.approx(1)
    assert found.f1_at_alarm is None


def test_an_alarm_in_a_clip_without_an_event_costs_precision() -> None:
    """One event found, one false alarm: precision 1/2, recall 1."""
    curves = [curve(event(20, 50)), curve(event(10, 30))]
    found = event_metrics(curves, [event(20, 50), event(0, 0)], COLUMN_S, 1.0)
    assert found.f1_at_alarm == pytest.approx(2 / 3)


def test_an_alarm_level_above_the_curve_finds_nothing() -> None:
    found = event_metrics([curve(event(20, 50))], [event(20, 50)], COLUMN_S, 3.0)
    assert found.f1_at_alarm == 0
    assert found.psds == pytest.approx(1)


@pytest.mark.parametrize(("late", "expected"), [(2, 1.0), (3, 0.0)])
def test_an_onset_may_be_a_fifth_of_a_second_off(late: int, expected: float) -> None:
    found = event_metrics([curve(event(20 + late, 50))], [event(20, 50)], COLUMN_S, 1.0)
    assert found.f1_at_alarm == expected
