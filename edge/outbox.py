"""Events on disk until the broker has acknowledged them.

SQLite in WAL mode with synchronous=FULL: an event that `put` returned for survives a power cut.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "outbox.sqlite"
BUSY_TIMEOUT_S = 5.0


class Waiting(msgspec.Struct, frozen=True):
    """An event that the broker does not have yet."""

    sequence: int
    payload: bytes


class Outbox:
    """A queue on disk, oldest first. Used from one thread.

    Raises:
        EarpatchError: the folder can't be written, or the file is no outbox.
    """

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        try:
            state_dir.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_S, isolation_level=None
            )
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS events "
                "(sequence INTEGER PRIMARY KEY AUTOINCREMENT, payload BLOB NOT NULL)"
            )
        except (OSError, sqlite3.Error) as error:
            raise EarpatchError(
                f"{self.path}: events can't be kept there ({error}); check [node] state_dir"
            ) from None

    def __len__(self) -> int:
        (count,) = self._database.execute("SELECT COUNT(*) FROM events").fetchone()
        return int(count)

    def next_sequence(self) -> int:
        """The sequence number that the next event will get; never used before."""
        row = self._database.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
        ).fetchone()
        return 1 + (int(row[0]) if row else 0)

    def put(self, payload: bytes) -> int:
        """Keep an event; on disk when this returns."""
        cursor = self._database.execute("INSERT INTO events (payload) VALUES (?)", (payload,))
        return int(cursor.lastrowid or 0)

    def after(self, sequence: int, limit: int) -> list[Waiting]:
        """At most `limit` waiting events with a larger sequence number, oldest first."""
        rows = self._database.execute(
            "SELECT sequence, payload FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (sequence, limit),
        )
        return [Waiting(*row) for row in rows]

    def delete(self, sequence: int) -> None:
        """The broker has this one."""
        self._database.execute("DELETE FROM events WHERE sequence = ?", (sequence,))

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()
