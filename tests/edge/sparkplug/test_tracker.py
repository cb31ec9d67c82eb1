"""The tests' host complains when it should: else its silence would prove nothing (G06)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.edge.sparkplug.life import Life, born

if TYPE_CHECKING:
    from edge.sparkplug.payload import Message


def said(life: Life) -> list[Message]:
    """Three events, not heard yet."""
    for number in range(3):
        life.happened("a", number)
    return life.state.take_messages()


def test_a_gap_is_noticed() -> None:
    """G06: a host that sees no gaps would prove nothing."""
    life = born()
    first, _, third = said(life)
    life.hear(first)
    life.hear(third)
    assert [fault.partition(": ")[2] for fault in life.tracker.faults] == ["seq 8 after 6"]


def test_what_comes_twice_is_noticed() -> None:
    life = born()
    first, *_ = said(life)
    life.hear(first)
    life.hear(first)
    assert len(life.tracker.faults) == 1


@pytest.mark.parametrize("compact", [False, True])
def test_data_before_a_birth_is_noticed(compact: bool) -> None:
    life = born(compact=compact)
    life.tracker = type(life.tracker)()
    life.hear(said(life)[0])
    assert "before NBIRTH" in life.tracker.faults[0]
    assert "was not in a birth" in life.tracker.faults[1]


def test_data_of_a_dead_device_is_noticed() -> None:
    life = born()
    messages = said(life)
    life.tracker.devices["a"] = False
    life.hear(messages[0])
    assert any("without DBIRTH" in fault for fault in life.tracker.faults)
