"""Outcomes at the alarm level: found, how well placed, and what else was told."""

import msgspec
import pytest

from calibration.simulator import Box
from convert.alarms import Outcome, outcome, row, table
from edge.events import Event

TRUTH = Box(10.0, 12.0, 1_000.0, 3_000.0)


def event(start_s: float, end_s: float, low_hz: float, high_hz: float) -> Event:
    return Event(
        start_s=start_s, end_s=end_s, low_hz=low_hz, high_hz=high_hz, peak_s=start_s,
        peak_hz=low_hz, score=2.0, scale_s=0.24, excess_db=9.0, contrast_db=9.0,
        nearest_recording="0.wav", nearest_s=0.0, false_alarms_per_day=0.1,
    )  # fmt: skip


def test_a_fault_is_found_by_an_event_that_touches_it() -> None:
    found = outcome([event(10.1, 12.0, 1_000.0, 3_000.0), event(20.0, 21.0, 50.0, 90.0)], TRUTH)
    assert found.found
    assert found.overlap == pytest.approx(0.95)
    assert found.start_error_s == pytest.approx(0.1)
    assert found.strays == 1


@pytest.mark.parametrize(
    "elsewhere", [(1.0, 2.0, 1_000.0, 3_000.0), (10.0, 12.0, 4_000.0, 5_000.0)]
)
def test_what_lies_elsewhere_in_time_or_frequency_does_not_find_it(
    elsewhere: tuple[float, float, float, float],
) -> None:
    assert outcome([event(*elsewhere)], TRUTH) == Outcome(
        found=False, overlap=0.0, start_error_s=None, strays=1
    )


def test_a_row_counts_faults_and_strays() -> None:
    hit = Outcome(found=True, overlap=0.6, start_error_s=0.08, strays=0)
    missed = msgspec.structs.replace(hit, found=False, overlap=0.0, start_error_s=None)
    plain = Outcome(found=False, overlap=0.0, start_error_s=None, strays=2)
    made = row("a", [hit, hit, missed, plain], 3, 90.0)
    assert made.recall == pytest.approx(2 / 3)
    assert made.strays == 2
    assert (made.median_overlap, made.median_start_error_s) == (0.6, 0.08)
    assert "0.667" in table([made])
    assert "80 ms" in table([made])
