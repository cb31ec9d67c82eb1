"""The outbox as it lies on disk; a running node doesn't notice that it is looked at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from edge.delivery.outbox import FILE_NAME, Outbox
from edge.delivery.records import Outgoing
from edge.doctor.check import Visit
from edge.doctor.node import lock_holder
from edge.doctor.outbox import checks
from tests.edge.doctor.visits import only, put, says, states, visit_to

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENTS = 300


@pytest.fixture
def visit(tmp_path: Path) -> Visit:
    return visit_to(tmp_path)


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    """With events that wait."""
    opened = Outbox(tmp_path / "state")
    with closing(opened):
        for number in range(EVENTS):
            opened.put(Outgoing(id=f"e{number}", payload=b"x" * 500, active=False))
        yield opened


def test_before_the_first_event_there_is_none(visit: Visit) -> None:
    says(only(checks(visit), "outbox"), "ok", "none yet")


def test_a_whole_outbox_says_how_much_waits_and_nothing_is_made_beside_it(
    tmp_path: Path, visit: Visit, outbox: Outbox
) -> None:
    """SQLite's own files there would belong to whoever ran doctor, and lock the node out."""
    outbox.close()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "state").iterdir()}
    assert {path.name for path in before} >= {FILE_NAME}
    says(only(checks(visit), "outbox"), "ok", "whole", f"{EVENTS} events wait")
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "state").iterdir()} == before


def test_a_node_that_writes_is_not_locked_out(visit: Visit, outbox: Outbox) -> None:
    for number in range(20):
        looked = checks(visit)
        first = next(looked)
        outbox.put(Outgoing(id=f"later{number}", payload=b"y", active=False))
        assert (outbox.durable, outbox.trouble) == (True, None)
        says(first, "ok", f"{EVENTS + number} events wait")
        list(looked)


def test_damage_is_found_and_nothing_is_moved(tmp_path: Path, visit: Visit, outbox: Outbox) -> None:
    """I14, I18: a torn write after a power cut."""
    outbox.close()
    path = tmp_path / "state" / FILE_NAME
    data = bytearray(path.read_bytes())
    for start in range(8_192, len(data) - 512, 4_096):
        data[start : start + 512] = b"\xa5" * 512
    path.write_bytes(data)
    says(only(checks(visit), "outbox"), "failed", "damaged", "moves it aside")
    assert path.read_bytes() == data


@pytest.mark.parametrize(
    ("content", "words"),
    [("no database, but long enough to be one" * 200, "damaged"), ("x", "not an outbox")],
)
def test_another_program_s_file_is_damage(
    tmp_path: Path, visit: Visit, content: str, words: str
) -> None:
    put(tmp_path, f"state/{FILE_NAME}", content)
    says(only(checks(visit), "outbox"), "failed", words)


def test_an_empty_database_is_no_outbox(tmp_path: Path, visit: Visit) -> None:
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / FILE_NAME)) as database:
        database.execute("CREATE TABLE other (one)")
    says(only(checks(visit), "outbox"), "failed", "not an outbox")


def test_a_folder_in_its_place_is_told(tmp_path: Path, visit: Visit) -> None:
    (tmp_path / "state" / FILE_NAME).mkdir(parents=True)
    says(only(checks(visit), "outbox"), "failed", "not a file")


def test_what_the_broker_can_t_take_is_counted(visit: Visit, outbox: Outbox) -> None:
    outbox.quarantine(7, "the broker says: packet too large")
    outbox.close()
    found = {check.name: check for check in checks(visit)}
    says(found["quarantine"], "warning", "1 events", "7", "packet too large")
    says(found["outbox"], "ok", f"{EVENTS - 1} events wait")


def test_damaged_files_that_were_moved_aside_are_named(tmp_path: Path, visit: Visit) -> None:
    put(tmp_path, "state/outbox.corrupt-2", "")
    put(tmp_path, "state/outbox.corrupt-2-wal", "")
    found = [check for check in checks(visit) if check.state == "warning"]
    assert len(found) == 1
    says(found[0], "warning", "outbox.corrupt-2 in", "replaced")


def test_without_a_configuration_it_is_not_looked_for() -> None:
    assert states(checks(Visit(None))) == {"outbox": "skipped"}


def test_who_holds_a_state_folder_is_read_from_the_kernel_s_list(
    tmp_path: Path, outbox: Outbox
) -> None:
    """Nothing is locked to find out, so no node is kept from starting at that moment."""
    lock = tmp_path / "state/outbox.lock"
    status = lock.stat()
    place = f"{status.st_dev >> 8 & 0xFFF:02x}:{status.st_dev & 0xFF:02x}:{status.st_ino}"
    put(tmp_path, "proc/locks", f"1: POSIX  ADVISORY  WRITE 4 {place} 0 EOF\n"
        f"2: FLOCK  ADVISORY  WRITE 812 {place} 0 EOF\n")  # fmt: skip
    assert lock_holder(lock, tmp_path) == 812
    assert lock_holder(tmp_path / "proc/locks", tmp_path) is None
    assert lock_holder(tmp_path / "nothing", tmp_path) is None
    outbox.close()
