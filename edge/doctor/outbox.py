"""The outbox as it lies on disk: whole or not, and what waits. Nothing in it is changed.

A running node isn't locked out: its file is read through SQLite's log, in which readers and the
writer don't wait for each other. A file without a log is read as if nobody could write it, since
otherwise SQLite would make a log there, under the wrong owner.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from edge.delivery.aside import NAME as ASIDE_NAME
from edge.delivery.outbox import FILE_NAME
from edge.doctor.check import Check, first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit

WITHIN_S = 30.0
STEPS = 10_000  # of SQLite's machine, between looks at the clock
MANY = 1_000
DAMAGED = (
    "the node moves it aside at its next start and begins a new one; undelivered events in it "
    "are lost, unless sqlite3's .recover finds them"
)


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    if visit.settings is None:
        yield Check("outbox", "skipped", "no configuration")
        return
    folder = Path(visit.settings.node.state_dir)
    yield from file_checks(folder / FILE_NAME)
    yield from aside_checks(folder)


def file_checks(path: Path) -> Iterator[Check]:
    """I14, I18: the file itself, and what is in it."""
    if not path.exists():
        yield Check("outbox", "ok", "none yet: no event has been kept")
        return
    if not path.is_file():
        yield Check("outbox", "failed", f"{path} is not a file", DAMAGED)
        return
    deadline_s = time.monotonic() + WITHIN_S
    try:
        with closing(_read_only(path)) as database:
            database.set_progress_handler(lambda: time.monotonic() > deadline_s, STEPS)
            (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                what = " ".join(str(verdict).split())
                yield Check("outbox", "failed", f"{path}: damaged ({what})", DAMAGED)
                return
            yield from _contents(database, path)
    except sqlite3.OperationalError as error:
        yield _unreadable(path, error)
    except sqlite3.DatabaseError as error:
        yield Check("outbox", "failed", f"{path}: damaged ({first_line(error)})", DAMAGED)


def aside_checks(folder: Path) -> Iterator[Check]:
    """Damaged files that a node has moved aside."""
    names = sorted(each.name for each in folder.glob("*") if ASIDE_NAME.match(each.name))
    if names:
        text = f"{', '.join(names)} in {folder}: damaged before, and replaced"
        todo = "check power supply and card; keep or delete these files"
        yield Check("outbox", "warning", text, todo)


def _read_only(path: Path) -> sqlite3.Connection:
    log = path.with_name(f"{path.name}-wal")
    mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
    return sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=1.0)


def _contents(database: sqlite3.Connection, path: Path) -> Iterator[Check]:
    count, size = database.execute(
        "SELECT count(*), coalesce(sum(length(payload)), 0) FROM events"
    ).fetchone()
    text = f"{path}: whole, {count} events wait ({size / 1000:.0f} kB)"
    if count > MANY:
        yield Check("outbox", "warning", text, "see the broker's line below")
    else:
        yield Check("outbox", "ok", text)
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    if "quarantined" in tables:
        yield from _quarantined(database)


def _quarantined(database: sqlite3.Connection) -> Iterator[Check]:
    rows = database.execute("SELECT sequence, reason FROM quarantined ORDER BY sequence DESC")
    found = rows.fetchall()
    if found:
        number, reason = found[0]
        text = f"{len(found)} events can't be delivered; the last, {number}: {reason}"
        todo = "the broker's limits or access rules; the events stay in the outbox"
        yield Check("quarantine", "warning", text, todo)


def _unreadable(path: Path, error: sqlite3.OperationalError) -> Check:
    words = first_line(error)
    if "interrupted" in words:
        text = f"{path}: not read to its end within {WITHIN_S:g} s"
        return Check("outbox", "warning", text, "the disk is slow or very busy; try again")
    if "no such table" in words:
        return Check("outbox", "failed", f"{path}: not an outbox ({words})", DAMAGED)
    todo = "run doctor as the node's user: sudo -u earpatch earpatch doctor"
    return Check("outbox", "warning", f"{path}: can't be read ({words})", todo)
