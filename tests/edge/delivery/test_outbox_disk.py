"""The outbox and its disk: full, read-only, failing, damaged; the node goes on and recovers."""

import logging
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.delivery.aside import KEPT, move_aside
from edge.delivery.disk import RETRY_S
from edge.delivery.high_water import STEP, HighWater
from edge.delivery.memory import MAX_MESSAGES
from edge.delivery.outbox import FILE_NAME, Outbox
from edge.delivery.records import Loss
from edge.delivery.store import MAX_QUARANTINED_BYTES, EventStore
from tests.edge.delivery.test_outbox import message, payloads


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now_s

    def later(self) -> None:
        """Time for another try."""
        self.now_s += RETRY_S


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[Path]:
    """A file system of its own; only root can make one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk to be filled")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def held(outbox: Outbox) -> list[bytes]:
    return [waiting.payload for waiting in outbox.after(0, 10_000)]


def fill(folder: Path) -> Path:
    """Until nothing fits any more."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return filler


def test_a_full_disk_is_told_and_events_wait_in_memory_until_there_is_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I11."""
    clock = Clock()
    with small_disk(tmp_path / "disk", 1_024) as disk:
        outbox = Outbox(disk, now_s=clock)
        outbox.put(message(b"before"))
        filler = fill(disk)
        sent = [b"%d" % n + bytes(2_000) for n in range(50)]
        assert [outbox.put(message(payload)) for payload in sent] == list(range(2, 52))
        assert not outbox.durable
        assert "full" in str(outbox.trouble)
        assert len([r for r in caplog.records if "kept in memory" in r.getMessage()]) == 1
        assert held(outbox) == [b"before", *sent]
        filler.unlink()
        clock.later()
        sent.append(b"after")
        outbox.put(message(b"after"))
        assert outbox.durable
        assert outbox.trouble is None
        assert "takes events again" in caplog.text
        outbox.close()
        assert payloads(disk) == [b"before", *sent]


def test_what_is_acknowledged_while_the_disk_is_full_is_not_sent_again(tmp_path: Path) -> None:
    """I11: a full disk can't even delete."""
    clock = Clock()
    with small_disk(tmp_path / "disk", 1_024) as disk:
        outbox = Outbox(disk, now_s=clock)
        for n in range(20):
            outbox.put(message(b"%d" % n))
        filler = fill(disk)
        outbox.put(message(bytes(300_000)))
        outbox.delete(*range(1, 19))
        outbox.quarantine(19, "too large")
        assert len(outbox) == 2
        assert [w.sequence for w in outbox.after(0, 100)] == [20, 21]
        filler.unlink()
        clock.later()
        outbox.put(message(b"after"))
        assert len(outbox) == 3
        assert [q.sequence for q in outbox.quarantined()] == [19]
        outbox.close()
        assert [len(p) for p in payloads(disk)] == [2, 300_000, 5]


def test_a_read_only_disk_at_the_start_does_not_stop_the_node(tmp_path: Path) -> None:
    """I11, I14: what it holds is delivered once it can be written again."""
    clock = Clock()
    with small_disk(tmp_path / "disk", 1_024) as disk:
        first = Outbox(disk)
        assert first.put(message(b"kept")) == 1
        first.close()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        outbox = Outbox(disk, now_s=clock)
        number = outbox.put(message(b"new"))
        assert number > 1, "a number that the unreadable file may have used"
        assert not outbox.durable
        assert held(outbox) == [b"new"]
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        clock.later()
        assert held(outbox) == [b"kept", b"new"]
        assert outbox.put(message(b"newer")) == number + 1
        assert outbox.durable
        outbox.close()
        assert payloads(disk) == [b"kept", b"new", b"newer"]


def test_a_disk_that_is_read_only_from_the_very_first_start_gives_numbers_by_the_clock(
    tmp_path: Path,
) -> None:
    with small_disk(tmp_path / "disk", 1_024) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        outbox = Outbox(disk / "state")
        assert outbox.put(message()) > 1_700_000_000
        outbox.close()


class FailingStore:
    """SQLite's own errors, where and when a test wants them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.error: Exception | None = None
        for name in ("insert", "after", "delete", "attempted", "quarantine", "take_loss"):
            monkeypatch.setattr(EventStore, name, self._failing(getattr(EventStore, name)))

    def _failing(self, method: Callable[..., object]) -> Callable[..., object]:
        def instead(store: EventStore, *arguments: object) -> object:
            if self.error is not None:
                raise self.error
            return method(store, *arguments)

        return instead


ERRORS = {
    "failing": sqlite3.OperationalError("disk I/O error"),
    "full": sqlite3.OperationalError("database or disk is full"),
    "read-only": sqlite3.OperationalError("attempt to write a readonly database"),
    "locked by another program": sqlite3.OperationalError("database is locked"),
    "gone": OSError(5, "Input/output error"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_whatever_the_disk_does_nothing_is_raised_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """I11, I16."""
    clock = Clock()
    failing = FailingStore(monkeypatch)
    outbox = Outbox(tmp_path, now_s=clock)
    for n in range(4):
        outbox.put(message(b"%d" % n))
    failing.error = error
    clock.later()
    assert outbox.put(message(b"4")) == 5
    outbox.delete(1)
    outbox.attempted(2)
    outbox.attempted(5)
    outbox.quarantine(3, "too large")
    assert outbox.take_loss() is None
    assert [w.payload for w in outbox.after(0, 9)] == [b"4"]
    failing.error = None
    assert [(w.sequence, w.attempts) for w in outbox.after(0, 9)] == [(2, 1), (4, 0), (5, 1)]
    clock.later()
    assert [(w.sequence, w.payload) for w in outbox.after(0, 9)] == [
        (2, b"1"),
        (4, b"3"),
        (5, b"4"),
    ]
    assert outbox.durable
    outbox.close()
    assert payloads(tmp_path) == [b"1", b"3", b"4"]


def test_a_failing_disk_is_not_tried_at_every_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """I13, I17."""
    clock = Clock()
    outbox = Outbox(tmp_path, now_s=clock)
    tried = []

    def failing(*_: object) -> None:
        tried.append(clock.now_s)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(EventStore, "insert", failing)
    for _ in range(1_000):
        clock.now_s += 0.01
        outbox.put(message())
    assert len(tried) <= 3
    assert len(caplog.records) <= 2
    outbox.close()


def test_more_than_a_thousand_in_memory_are_dropped_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F14: closed ones first."""
    failing = FailingStore(monkeypatch)
    outbox = Outbox(tmp_path, now_s=Clock())
    failing.error = sqlite3.OperationalError("disk I/O error")
    for n in range(MAX_MESSAGES + 3):
        outbox.put(message(active=n == 0))
    assert len(outbox) == MAX_MESSAGES
    assert outbox.take_loss() == Loss(3, 2, 4)
    assert outbox.take_loss() is None
    outbox.close()


def valid(folder: Path, events: int) -> bytes:
    outbox = Outbox(folder)
    for _ in range(events):
        outbox.put(message(bytes(500)))
    outbox.close()
    return (folder / FILE_NAME).read_bytes()


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "text": lambda _: b"this is no database, but it is long enough to look like one\n" * 20,
    "all NUL": lambda raw: bytes(len(raw)),
    "NUL tail": lambda raw: raw[: len(raw) // 2] + bytes(len(raw) - len(raw) // 2),
    "cut in the middle": lambda raw: raw[: len(raw) // 2],
    "second page lost": lambda raw: raw[:4096] + bytes(4096) + raw[8192:],
    "noise in the middle": lambda raw: raw[:6000] + b"\xa5" * 20_000 + raw[26_000:],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_moved_aside_and_the_node_goes_on(
    tmp_path: Path, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    """I09, I12, I14, I18, I21."""
    raw = valid(tmp_path, 100)
    (tmp_path / FILE_NAME).write_bytes(damage(raw))
    outbox = Outbox(tmp_path)
    assert outbox.recovered_from == tmp_path / "outbox.corrupt-1"
    assert (tmp_path / "outbox.corrupt-1").read_bytes() == damage(raw)
    assert "was damaged" in caplog.text
    number = outbox.put(message(b"after"))
    assert number > 100
    assert outbox.durable
    outbox.close()
    assert payloads(tmp_path) == [b"after"]
    again = Outbox(tmp_path)
    assert again.recovered_from is None
    assert again.put(message()) == number + 1
    again.close()


def another_program_s_database(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE events (name TEXT)")
    database.close()


def a_folder(path: Path) -> None:
    path.mkdir()
    (path / "file").touch()


@pytest.mark.parametrize("make", [another_program_s_database, a_folder])
def test_what_is_no_outbox_is_moved_aside_too(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / FILE_NAME)
    outbox = Outbox(tmp_path)
    outbox.put(message(b"event"))
    outbox.close()
    assert payloads(tmp_path) == [b"event"]
    assert (tmp_path / "outbox.corrupt-1").exists()


def test_a_file_that_is_damaged_while_the_node_runs_is_replaced(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """I21: the cache knows nothing of it at first, so it takes a while to show."""
    outbox = Outbox(tmp_path)
    for _ in range(3_000):
        outbox.put(message(bytes(500)))
    with (tmp_path / FILE_NAME).open("r+b") as file:
        file.seek(4096)
        file.write(bytes(1_000_000))
    numbers = []
    for _ in range(10):
        numbers.append(outbox.put(message(b"new")))
        outbox.after(0, 3_000)
    assert outbox.recovered_from is not None
    assert "damaged" in caplog.text
    assert numbers == list(range(3_001, 3_011))
    assert outbox.durable
    outbox.close()


def test_a_payload_that_is_not_what_was_written_is_quarantined_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    """I09: NUL bytes within a page, which SQLite doesn't notice."""
    outbox = Outbox(tmp_path)
    for n in range(5):
        outbox.put(message(b"payload number %d" % n * 20))
    outbox.close()
    raw = (tmp_path / FILE_NAME).read_bytes()
    place = raw.index(b"payload number 2")
    (tmp_path / FILE_NAME).write_bytes(raw[:place] + bytes(100) + raw[place + 100 :])
    again = Outbox(tmp_path)
    assert again.recovered_from is None
    assert [w.sequence for w in again.after(0, 10)] == [1, 2, 4, 5]
    assert [(q.sequence, q.reason) for q in again.quarantined()] == [(3, "damaged on disk")]
    assert len(again) == 4
    again.close()


def test_of_the_damaged_files_the_newest_three_are_kept(tmp_path: Path) -> None:
    """I06: they must not fill the disk."""
    for n in range(1, 6):
        (tmp_path / FILE_NAME).write_text(f"damaged {n}")
        (tmp_path / f"{FILE_NAME}-wal").write_text("its log")
        assert move_aside(tmp_path / FILE_NAME).name == f"outbox.corrupt-{n}"
    kept = sorted(path.name for path in tmp_path.iterdir() if "-wal" not in path.name)
    assert kept == [f"outbox.corrupt-{n}" for n in (3, 4, 5)]
    assert len(kept) == KEPT
    assert len(list(tmp_path.iterdir())) == 2 * KEPT


def test_the_quarantine_does_not_fill_the_disk(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for _ in range(12):
        outbox.quarantine(outbox.put(message(bytes(1_000_000))), "too large")
    kept = outbox.quarantined()
    assert sum(q.bytes for q in kept) <= MAX_QUARANTINED_BYTES
    assert [q.sequence for q in kept] == list(range(12, 4, -1))
    outbox.close()


def test_the_high_water_mark_survives_restarts_and_is_written_once_in_a_thousand(
    tmp_path: Path,
) -> None:
    """I19: it is replaced as a whole."""
    mark = HighWater(tmp_path / "outbox.sequence")
    assert mark.read() is None
    mark.reserve(1)
    written = (tmp_path / "outbox.sequence").stat().st_ino
    mark.reserve(STEP)
    assert (tmp_path / "outbox.sequence").stat().st_ino == written
    assert HighWater(tmp_path / "outbox.sequence").read() == STEP + 1
    mark.reserve(STEP + 2)
    assert mark.read() == 2 * STEP + 2


@pytest.mark.parametrize("content", [b"", bytes(8), b"12", b"12 1", b"x x", b"-1 -1", b"9" * 99])
def test_a_damaged_high_water_mark_is_no_number(tmp_path: Path, content: bytes) -> None:
    """I09."""
    (tmp_path / "mark").write_bytes(content)
    assert HighWater(tmp_path / "mark").read() is None


def test_events_that_could_not_be_written_are_counted_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failing = FailingStore(monkeypatch)
    outbox = Outbox(tmp_path, now_s=Clock())
    failing.error = sqlite3.OperationalError("disk I/O error")
    outbox.put(message())
    with caplog.at_level(logging.ERROR):
        outbox.close()
    assert "events lost, since the disk took nothing: 1" in caplog.text
