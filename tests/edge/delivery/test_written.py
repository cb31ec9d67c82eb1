"""Bytes written to storage: counted by the kernel, told for the last 24 hours."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.written import HOUR_S, WrittenBytes, process_write_bytes


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=30, max_size=80))
def test_it_is_the_sum_of_the_last_24_hours(each_hour: list[int]) -> None:
    now_s, total = 0.0, 0
    written = WrittenBytes(lambda: total, lambda: now_s)
    for hour, more in enumerate(each_hour):
        now_s, total = hour * HOUR_S, total + more
        told = written.last_day()
        before = max(0, hour - 24)  # what was written when that hour was first asked is before it
        expected = sum(each_hour[before + 1 : hour + 1]) + (each_hour[0] if before == 0 else 0)
        assert told == expected


def test_where_the_kernel_does_not_tell_it_is_unknown() -> None:
    assert WrittenBytes(lambda: None).last_day() is None


def test_the_kernel_counts_what_is_written_to_a_disk(tmp_path: Path) -> None:
    """I17. On a RAM disk it rightly counts nothing."""
    before = process_write_bytes()
    if before is None:
        pytest.skip("this kernel has no /proc/self/io")
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(500_000))
        os.fsync(file.fileno())
    after = process_write_bytes()
    assert after is not None
    if after == before:
        pytest.skip("the temporary folder is no disk")
    assert after - before >= 500_000
