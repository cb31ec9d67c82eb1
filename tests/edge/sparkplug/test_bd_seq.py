"""bdSeq: another number for each CONNECT, whatever happens to the process or the disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sparkplug.bd_seq import BdSeq

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "sparkplug-bdseq"


def connects(counter: BdSeq, count: int) -> list[int]:
    found = []
    for _ in range(count):
        found.append(counter.reserve())
        counter.used()
    return found


def test_it_starts_at_0_and_wraps_after_255(path: Path) -> None:
    """G10."""
    assert connects(BdSeq(path), 258) == [*range(256), 0, 1]


def test_it_goes_on_after_a_restart(path: Path) -> None:
    assert connects(BdSeq(path), 3) == [0, 1, 2]
    assert connects(BdSeq(path), 2) == [3, 4]


def test_a_server_that_can_not_be_reached_uses_up_no_number_and_writes_nothing(path: Path) -> None:
    counter = BdSeq(path)
    assert counter.reserve() == 0
    written = path.stat().st_mtime_ns
    assert [counter.reserve() for _ in range(5)] == [0] * 5
    assert path.stat().st_mtime_ns == written


def test_a_process_that_dies_between_writing_and_connecting_skips_a_number(path: Path) -> None:
    """It may have been sent: a number is never used twice in a row."""
    assert BdSeq(path).reserve() == 0
    assert BdSeq(path).reserve() == 1


@pytest.mark.parametrize(
    "text", [b"", b"7", b"7 8", b"7 7 7", b"x x", b"256 256", b"-1 -1", b"\0" * 64, b"12 1"]
)
def test_a_damaged_file_is_said_and_starts_anew(
    path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.write_bytes(text)
    assert BdSeq(path).reserve() == 0
    assert "damaged" in caplog.text


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_nothing_in_the_file_can_end_it(
    tmp_path_factory: pytest.TempPathFactory, text: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "bdseq-any"
    path.write_bytes(text)
    assert 0 <= BdSeq(path).reserve() < 256


def test_a_disk_that_takes_nothing_is_said_once_and_the_node_goes_on(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.parent.mkdir()
    path.with_name(path.name + ".writing").mkdir()  # so that it can't be written
    assert connects(BdSeq(path), 4) == [0, 1, 2, 3]
    assert caplog.text.count("can't be written") == 1


def test_a_folder_in_its_place_is_said(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path.mkdir(parents=True)
    assert connects(BdSeq(path), 2) == [0, 1]
    assert "can't be read" in caplog.text


def test_half_a_write_leaves_the_number_before(path: Path) -> None:
    connects(BdSeq(path), 5)
    path.with_name(path.name + ".writing").write_bytes(b"5 ")
    assert BdSeq(path).reserve() == 5
    assert os.listdir(path.parent) == [path.name]  # noqa: PTH208
