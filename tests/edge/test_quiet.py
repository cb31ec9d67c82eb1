"""A log that can't fill a disk."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from edge.quiet import FORGET_S, MOST_KINDS, Thinned


class Clock:
    """Seconds that pass when told."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        """Of the moment."""
        return self.now_s


def written(thinned: Thinned, texts: list[str], **extra: object) -> list[str]:
    """What gets through of these lines."""
    found = []
    for text in texts:
        fields = {"name": "edge.x", "levelno": logging.ERROR, "msg": "%s", "args": (text,), **extra}
        record = logging.makeLogRecord(fields)
        if thinned.filter(record):
            found.append(record.getMessage())
    return found


def test_ten_thousand_equal_errors_are_at_most_twenty_lines() -> None:
    """C07, D11: the first ones, then a few that say how many there were."""
    lines = written(Thinned(Clock()), ["xrun"] * 10_000)
    assert len(lines) <= 20
    assert lines[:3] == ["xrun"] * 3
    assert lines[-1] == "xrun (for the 10000th time in an hour)"


def test_lines_that_differ_in_their_numbers_alone_are_equal() -> None:
    lines = written(Thinned(Clock()), [f"lost {n} frames of {n * 7}" for n in range(10_000)])
    assert len(lines) <= 20


def test_other_lines_get_through_meanwhile() -> None:
    lines = written(Thinned(Clock()), ["xrun"] * 5_000 + ["gone"] + ["xrun"] * 5_000)
    assert "gone" in lines


def test_after_an_hour_a_line_is_news_again() -> None:
    clock = Clock()
    thinned = Thinned(clock)
    written(thinned, ["xrun"] * 50)
    clock.now_s = FORGET_S + 1.0
    assert written(thinned, ["xrun"] * 3) == ["xrun"] * 3


def test_events_always_get_through() -> None:
    lines = written(Thinned(Clock()), ["event"] * 500, always=True)
    assert lines == ["event"] * 500


def test_a_thousand_kinds_of_lines_take_no_more_memory() -> None:
    thinned = Thinned(Clock())
    kinds = [chr(0x4E00 + n) for n in range(3 * MOST_KINDS)]
    assert written(thinned, kinds) == kinds
    assert len(thinned._seen) == MOST_KINDS


@given(st.lists(st.sampled_from(["a 1", "a 2", "b", "c"]), max_size=300))
def test_a_line_is_written_or_counted_in_a_later_one(texts: list[str]) -> None:
    """The first three of each kind are always there, and no more than one for each power of ten."""
    lines = written(Thinned(Clock()), texts)
    for kind in "abc":
        came = sum(text.startswith(kind) for text in texts)
        got = sum(line.startswith(kind) for line in lines)
        assert min(came, 3) <= got <= 3 + len(str(came))
