"""What `make arm64` calls equal, and what it complains of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from edge.doctor.computer import Computer, processor_check
from edge.events import Event
from tests.slow.emulated import PROCESSORS
from tests.slow.parity import LOG_MEL, FrontEndRow, Row, events_of, write_between

if TYPE_CHECKING:
    from pathlib import Path

    from tests.slow.parity import Events

EVENT = Event(
    start_s=1.0, end_s=2.0, low_hz=100.0, high_hz=200.0, peak_s=1.5, peak_hz=150.0, score=10.0,
    scale_s=0.72, excess_db=9.0, contrast_db=9.0, nearest_recording="0.wav", nearest_s=3.0,
    false_alarms_per_day=1e-6,
)  # fmt: skip
ROW = Row("cortex-a53", "litert", "2.3.0", "reference", "equal", 1.0, 0, 9, 9, 2.0, 0.0, 0.0, 1,
          "equal")  # fmt: skip
FRONT = FrontEndRow("cortex-a53", 10_000, LOG_MEL / 2, 10)


@pytest.mark.parametrize(
    ("there", "verdict"),
    [
        ([EVENT], "equal"),
        ([structs.replace(EVENT, score=10.009)], "equal"),
        ([structs.replace(EVENT, score=10.02)], "same places"),
        ([structs.replace(EVENT, end_s=2.08)], "same places"),
        ([structs.replace(EVENT, nearest_s=4.0)], "same places"),
        ([structs.replace(EVENT, start_s=1.9, end_s=2.9)], "different"),
        ([structs.replace(EVENT, low_hz=300.0, high_hz=400.0)], "different"),
        ([], "different"),
        ([EVENT, EVENT], "different"),
    ],
)
def test_events_are_equal_in_the_same_places_or_different(
    there: list[Event], verdict: Events
) -> None:
    assert events_of([EVENT], there) == verdict


@pytest.mark.parametrize(
    "row",
    [
        replace(ROW, distances_equal=8),
        replace(ROW, verdict="different", kernels="optimised", events="same places"),
        replace(ROW, verdict="tolerated", events="same places"),
        replace(ROW, events="same places"),
        replace(ROW, verdict="tolerated", kernels="optimised", events="different"),
    ],
)
def test_what_may_not_be_is_complained_of(row: Row) -> None:
    assert not list(ROW.complaints())
    assert not list(replace(ROW, verdict="tolerated", kernels="optimised").complaints())
    assert list(row.complaints())


@pytest.mark.parametrize(
    "row", [replace(FRONT, largest=LOG_MEL * 2), replace(FRONT, steps_unequal=11),
            replace(FRONT, largest=float("nan"))],
)  # fmt: skip
def test_another_spectrogram_is_complained_of(row: FrontEndRow) -> None:
    assert not list(FRONT.complaints())
    assert list(row.complaints())


def test_what_stands_between_two_comments_of_a_page_is_replaced(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- m -->\nold\n<!-- end of m -->\nafter\n")
    for _ in range(2):
        write_between(page, "m", ["new", "lines"])
    assert page.read_text() == "before\n<!-- m -->\nnew\nlines\n<!-- end of m -->\nafter\n"
    with pytest.raises(ValueError, match="no <!-- other -->"):
        write_between(page, "other", ["new"])


def test_an_imitated_processor_is_told_as_the_boards_own() -> None:
    for processor in PROCESSORS:
        computer = Computer((3, 11, 2), 64, "aarch64", 4_096, (2, 36), processor.cpuinfo)
        assert processor_check(computer).state == "ok"
