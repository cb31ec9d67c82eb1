"""What the outbox does with its file. Says what went wrong by raising `sqlite3.Error`.

A message is synced to disk before `insert` returns. Deleting is not synced: if the power goes, an
acknowledged message comes again, with the same id.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from edge.delivery.database import open_database, transaction, unsynced
from edge.delivery.records import Loss, Quarantined, Waiting, add_loss

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from edge.delivery.records import Numbered, OutboxLimits, Wanted

MAX_QUARANTINED_ROWS, MAX_QUARANTINED_BYTES = 1_000, 8 * 1_048_576
COLUMNS = "sequence, id, boot_id, leaf, active, attempts, payload, crc"
INSERT = (
    "INSERT OR REPLACE INTO events (sequence, id, boot_id, leaf, active, bytes, crc, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class EventStore:
    """One open file. Used from one thread.

    Args:
        path: the file; made if it isn't there.

    Raises:
        sqlite3.Error: also from every method.
    """

    def __init__(self, path: Path) -> None:
        self._database = open_database(path)
        self.rows, self.bytes = 0, 0  # kept up to date: counting 100,000 takes a while
        self.count()

    def count(self) -> None:
        """Count what waits, as after a failure that may have come before or after a commit."""
        rows, size = self._database.execute("SELECT COUNT(*), SUM(bytes) FROM events").fetchone()
        self.rows, self.bytes = int(rows), int(size or 0)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @property
    def last_sequence(self) -> int:
        """The largest number ever given; 0 if none was."""
        row = self._database.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'events'"
        ).fetchone()
        return int(row[0]) if row else 0

    def insert(self, messages: Sequence[Numbered], limits: OutboxLimits) -> None:
        """Keep messages; where too many wait, others are dropped for them and noted as lost."""
        with transaction(self._database) as execute:
            for m in messages:
                crc, size = zlib.crc32(m.payload), len(m.payload)
                values = (m.sequence, m.id, m.boot_id, m.leaf, m.active, size, crc, m.payload)
                execute(INSERT, values)
            rows = self.rows + len(messages)
            size = self.bytes + sum(len(m.payload) for m in messages)
            dropped = self._surplus(
                rows - limits.max_rows, size - limits.max_bytes, before=messages[0].sequence
            )
            for sequence, _ in dropped:
                execute("DELETE FROM events WHERE sequence = ?", (sequence,))
            self._note_loss([sequence for sequence, _ in dropped])
        self.rows, self.bytes = rows, size
        self._subtract(dropped)

    def after(self, sequence: int, limit: int, wanted: Wanted) -> tuple[list[Waiting], list[int]]:
        """The oldest with a larger number, and which of them aren't what was written."""
        marks = ", ".join("?" * len(wanted.without_leaves))
        active = "AND active = 1 " if wanted.only_active else ""  # as the index has it
        found = self._database.execute(
            f"SELECT {COLUMNS} FROM events WHERE sequence > ? {active}"  # noqa: S608
            f"AND boot_id = ifnull(?, boot_id) AND leaf NOT IN ({marks}) ORDER BY sequence LIMIT ?",
            (sequence, wanted.boot_id, *wanted.without_leaves, limit),
        ).fetchall()
        waiting, damaged = [], []
        for number, id_, boot_id, leaf, active, attempts, payload, crc in found:
            if crc in {None, zlib.crc32(payload)}:
                row = Waiting(number, id_, boot_id, leaf, bool(active), attempts, payload)
                waiting.append(row)
            else:
                damaged.append(number)
        return waiting, damaged

    def delete(self, sequences: Iterable[int]) -> None:
        """The broker has these."""
        removed = self._sizes(sequences)
        with unsynced(self._database) as execute:
            for sequence, _ in removed:
                execute("DELETE FROM events WHERE sequence = ?", (sequence,))
        self._subtract(removed)

    def attempted(self, sequence: int) -> None:
        """Count a failed attempt."""
        with unsynced(self._database) as execute:
            execute("UPDATE events SET attempts = attempts + 1 WHERE sequence = ?", (sequence,))

    def replace(self, sequence: int, payload: bytes) -> None:
        """Correct what a waiting message says."""
        before = self._sizes([sequence])
        with transaction(self._database) as execute:
            execute(
                "UPDATE events SET payload = ?, bytes = ?, crc = ? WHERE sequence = ?",
                (payload, len(payload), zlib.crc32(payload), sequence),
            )
        self.bytes += sum(len(payload) - size for _, size in before)

    def quarantine(self, sequence: int, reason: str) -> None:
        """Take a message out of the way, for a person to look at. Of many the oldest go."""
        removed = self._sizes([sequence])
        with transaction(self._database) as execute:
            execute(
                "INSERT OR REPLACE INTO quarantined SELECT sequence, id, leaf, bytes, ?, payload "
                "FROM events WHERE sequence = ?",
                (reason, sequence),
            )
            execute("DELETE FROM events WHERE sequence = ?", (sequence,))
            kept_bytes = 0
            everything = self.quarantined(MAX_QUARANTINED_ROWS + 1)
            for place, row in enumerate(everything):
                kept_bytes += row.bytes
                if place >= MAX_QUARANTINED_ROWS or kept_bytes > MAX_QUARANTINED_BYTES:
                    execute("DELETE FROM quarantined WHERE sequence = ?", (row.sequence,))
        self._subtract(removed)

    def quarantined(self, limit: int) -> list[Quarantined]:
        """What the broker could not take, newest first."""
        rows = self._database.execute(
            "SELECT sequence, id, leaf, bytes, reason FROM quarantined "
            "ORDER BY sequence DESC LIMIT ?",
            (limit,),
        )
        return [Quarantined(*row) for row in rows]

    def take_loss(self) -> Loss | None:
        """What was dropped since last asked."""
        loss = self._loss()
        if loss is not None:
            with unsynced(self._database) as execute:
                execute("DELETE FROM lost")
        return loss

    def _loss(self) -> Loss | None:
        row = self._database.execute("SELECT count, first, last FROM lost").fetchone()
        return Loss(*row) if row else None

    def _note_loss(self, sequences: list[int]) -> None:
        loss = add_loss(self._loss(), sequences)
        if sequences and loss is not None:
            self._database.execute(
                "INSERT OR REPLACE INTO lost VALUES (1, ?, ?, ?)",
                (loss.count, loss.first_sequence, loss.last_sequence),
            )

    def _surplus(self, rows: int, size: int, *, before: int) -> list[tuple[int, int]]:
        """What to drop, as (sequence, bytes): the oldest closed events, then the oldest."""
        dropped: list[tuple[int, int]] = []
        if rows <= 0 and size <= 0:
            return dropped
        candidates = self._database.execute(
            "SELECT sequence, bytes FROM events WHERE sequence < ? ORDER BY active, sequence",
            (before,),
        )
        for sequence, row_bytes in candidates:
            if rows <= 0 and size <= 0:
                break
            dropped.append((sequence, row_bytes))
            rows, size = rows - 1, size - row_bytes
        candidates.close()
        return dropped

    def _sizes(self, sequences: Iterable[int]) -> list[tuple[int, int]]:
        select = "SELECT sequence, bytes FROM events WHERE sequence = ?"
        found = (self._database.execute(select, (s,)).fetchone() for s in set(sequences))
        return [row for row in found if row]

    def _subtract(self, removed: list[tuple[int, int]]) -> None:
        self.rows -= len(removed)
        self.bytes -= sum(size for _, size in removed)
