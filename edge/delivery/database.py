"""The file under the outbox: SQLite in WAL mode, its layout, and what counts as damage."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Execute = Callable[..., sqlite3.Cursor]

BUSY_TIMEOUT_S = 1.0  # the node listens on meanwhile, from its buffer
JOURNAL_BYTES = 1_048_576
CACHE_KIB = 512  # 100,000 waiting messages take no more memory than ten
# The index has the order in which messages are dropped, and what is summed up at the start.
LAYOUT = (
    "CREATE TABLE IF NOT EXISTS events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, {columns})",
    "CREATE INDEX IF NOT EXISTS events_by_kind ON events (active, sequence, bytes)",
    "CREATE TABLE IF NOT EXISTS quarantined (sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, "
    "leaf TEXT NOT NULL, bytes INTEGER NOT NULL, reason TEXT NOT NULL, payload BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS lost (one INTEGER PRIMARY KEY CHECK (one = 1), "
    "count INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL)",
)
ADDED_COLUMNS = (
    "id TEXT NOT NULL DEFAULT ''",
    "boot_id TEXT NOT NULL DEFAULT ''",
    "leaf TEXT NOT NULL DEFAULT 'event'",
    "active INTEGER NOT NULL DEFAULT 0",
    "attempts INTEGER NOT NULL DEFAULT 0",
    "bytes INTEGER NOT NULL DEFAULT 0",
    "crc INTEGER",
)
COLUMNS = ("payload BLOB NOT NULL", *ADDED_COLUMNS)
FIRST_LAYOUT = ["sequence", "payload"]  # an outbox of earpatch before it kept ids


class DamagedError(sqlite3.DatabaseError):
    """The file is no outbox, or what is in it isn't what was written."""


def is_damage(error: Exception) -> bool:
    """Whether a file is to blame, and not the disk under it.

    SQLite's "not a database" and "malformed" are plain DatabaseErrors; a full, read-only or
    failing disk is an OperationalError, but so is a table that has vanished.
    """
    return type(error) in {sqlite3.DatabaseError, DamagedError} or "no such table" in str(error)


def open_database(path: Path) -> sqlite3.Connection:
    """Open or create the file, check it, and bring it to the present layout.

    Raises:
        sqlite3.Error: it can't be used; `is_damage` tells why.
    """
    database = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[Execute]:
    """All or nothing, synced to disk when it is left."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield database.execute
        database.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # a full disk has already rolled it back
            database.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def unsynced(database: sqlite3.Connection) -> Iterator[Execute]:
    """A transaction that a power cut may undo, but no kill -9."""
    database.execute("PRAGMA synchronous=NORMAL")
    try:
        with transaction(database) as execute:
            yield execute
    finally:
        database.execute("PRAGMA synchronous=FULL")


def _prepare(database: sqlite3.Connection) -> None:
    execute = database.execute
    (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise DamagedError(verdict)
    execute("PRAGMA journal_mode=WAL")
    execute("PRAGMA synchronous=FULL")
    execute("PRAGMA wal_autocheckpoint=200")
    execute(f"PRAGMA journal_size_limit={JOURNAL_BYTES}")
    execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    with transaction(database):
        _lay_out(execute)


def _lay_out(execute: Execute) -> None:
    present = [row[1] for row in execute("PRAGMA table_info(events)")]
    if present == FIRST_LAYOUT:
        for column in ADDED_COLUMNS:
            execute(f"ALTER TABLE events ADD COLUMN {column}")
        execute("UPDATE events SET bytes = length(payload)")
    elif present and present != [*FIRST_LAYOUT, *(c.split()[0] for c in ADDED_COLUMNS)]:
        raise DamagedError("it is another program's")
    for statement in LAYOUT:
        execute(statement.format(columns=", ".join(COLUMNS)))
