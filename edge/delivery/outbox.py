"""Events on disk until the broker has acknowledged them.

SQLite in WAL mode with synchronous=FULL: an event that `put` returned for survives a power cut.
"""

from __future__ import annotations

import contextlib
import fcntl
import sqlite3
from typing import TYPE_CHECKING

import msgspec

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILE_NAME = "outbox.sqlite"
BUSY_TIMEOUT_S = 5.0


class Waiting(msgspec.Struct, frozen=True):
    """An event that the broker does not have yet."""

    sequence: int
    payload: bytes


class Outbox:
    """A queue on disk, oldest first. Used from one thread.

    Args:
        state_dir: the folder of the file.

    Raises:
        EarpatchError: also from every method: the folder can't be written, the disk is full, or
            the file is damaged or no outbox.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        with self._explained():
            state_dir.mkdir(parents=True, exist_ok=True)
            self._lock = self.path.with_suffix(".lock").open("w")
        self._claim()
        with self._explained():
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
        try:
            with self._explained():
                self._prepare()
        except EarpatchError:
            self.close()
            raise

    def __len__(self) -> int:
        with self._explained():
            (count,) = self._database.execute("SELECT COUNT(*) FROM events").fetchone()
            return int(count)

    def next_sequence(self) -> int:
        """The sequence number that the next event will get; never used before."""
        with self._explained():
            row = self._database.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
            ).fetchone()
            return 1 + (int(row[0]) if row else 0)

    def put(self, payload: bytes) -> int:
        """Keep an event; on disk when this returns."""
        with self._explained():
            cursor = self._database.execute("INSERT INTO events (payload) VALUES (?)", (payload,))
            return int(cursor.lastrowid or 0)

    def after(self, sequence: int, limit: int) -> list[Waiting]:
        """At most `limit` waiting events with a larger sequence number, oldest first."""
        with self._explained():
            rows = self._database.execute(
                "SELECT sequence, payload FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
                (sequence, limit),
            )
            return [Waiting(*row) for row in rows]

    def delete(self, sequence: int) -> None:
        """The broker has this one."""
        with self._explained():
            self._database.execute("DELETE FROM events WHERE sequence = ?", (sequence,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
        self._lock.close()

    def _claim(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise EarpatchError(
                f"{self.path}: another node is using it; give each its own [node] state_dir"
            ) from None

    def _prepare(self) -> None:
        execute = self._database.execute
        (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
        execute("PRAGMA journal_mode=WAL")
        execute("PRAGMA synchronous=FULL")
        execute(
            "CREATE TABLE IF NOT EXISTS events "
            "(sequence INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL)"
        )
        execute("SELECT sequence, payload FROM events LIMIT 1")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, sqlite3.Error) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise EarpatchError(
                f"{self.path}: events can't be kept there ({reason}); check [node] state_dir. "
                "A damaged outbox may be moved away: the node makes a new one"
            ) from None
