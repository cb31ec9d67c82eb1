"""Log lines: 10,000 identical errors are a few lines."""

import logging

import pytest

from edge.delivery.quiet_log import WINDOW_S, QuietLog

log = logging.getLogger(__name__)


def test_ten_thousand_identical_errors_in_an_hour_are_at_most_twenty_lines(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """I13."""
    now_s = 0.0
    quiet = QuietLog(log, lambda: now_s)
    for _ in range(10_000):
        now_s += 0.36
        quiet.warn("disk", "the disk is full")
    assert 1 < len(caplog.records) <= 20


def test_what_was_left_out_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    now_s = 0.0
    quiet = QuietLog(log, lambda: now_s)
    assert [quiet.warn("a", "text") for _ in range(4)] == [True, False, False, False]
    now_s = WINDOW_S
    quiet.warn("a", "text")
    assert [record.getMessage() for record in caplog.records] == ["text", "text (3 more like it)"]


def test_another_kind_is_written_at_once_and_so_is_one_that_had_ended(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = QuietLog(log, lambda: 0.0)
    quiet.warn("a", "one")
    quiet.warn("b", "two")
    quiet.settle("a")
    quiet.warn("a", "three")
    assert [record.getMessage() for record in caplog.records] == ["one", "two", "three"]


def test_ever_new_kinds_take_no_memory() -> None:
    quiet = QuietLog(log, lambda: 0.0)
    for number in range(1_000):
        quiet.warn(str(number), "text")
    assert len(quiet._written) <= 64
