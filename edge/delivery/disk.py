"""The outbox's file through everything that disks do: full, read-only, failing, damaged, back."""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import time
from typing import TYPE_CHECKING, TypeVar

from edge.delivery.aside import move_aside
from edge.delivery.database import DamagedError, is_damage
from edge.delivery.high_water import HighWater
from edge.delivery.quiet_log import QuietLog
from edge.delivery.store import EventStore
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import IO

log = logging.getLogger(__name__)

RETRY_S = 5.0  # between tries to use a disk that failed
FAILURES = (OSError, sqlite3.Error)
# Of a configuration and not of a disk: time heals none of them.
MISTAKES = (FileExistsError, NotADirectoryError, PermissionError, ValueError)
T = TypeVar("T")


class InUseError(OSError):
    """The folder belongs to another node."""


class Disk:
    """An `EventStore` that is opened, given up, moved aside and opened again as need be.

    Args:
        path: the file.
        now_s: a clock that never goes back.

    Raises:
        EarpatchError: the folder can't be one, or another node uses it. Later nothing is raised.
    """

    def __init__(self, path: Path, now_s: Callable[[], float] = time.monotonic) -> None:
        self.path = path
        self.store: EventStore | None = None
        self.problem: str | None = None  # why nothing can be written; None while it can
        self.recovered_from: Path | None = None  # where a damaged file lies now
        self._now_s, self._complaints = now_s, QuietLog(log, now_s)
        self._lock: IO[str] | None = None
        self._retry_s = now_s()
        try:
            self._open()
        except InUseError as error:
            raise EarpatchError(f"{path}: {error}") from None
        except MISTAKES as error:
            raise EarpatchError(
                f"{path}: events can't be kept there ({_reason(error)}); check [node] state_dir"
            ) from None
        except FAILURES as error:
            self._give_up(error)
        self._high_water = HighWater(path.with_name("outbox.sequence"))

    def last_used(self) -> int:
        """No message has a larger number, even if the file that knew it is gone."""
        if self.store is not None and (last := self.store.last_sequence):
            return last
        known = self._high_water.read()
        if known is None and (self.store is None or self.recovered_from is not None):
            return int(time.time())  # larger than any count: one event a second since 1970
        return known or 0

    def reserve(self, sequence: int) -> None:
        """Be sure that this number isn't given again, even if the file is lost.

        Raises:
            OSError: that can't be written.
        """
        self._high_water.reserve(sequence)

    def write(self, action: Callable[[EventStore], object]) -> bool:
        """Do it, unless the disk has failed within the last seconds; whether it was done."""
        if self.problem is not None and self._now_s() < self._retry_s:
            return False
        recovering = self.problem is not None

        def whole(store: EventStore) -> bool:
            action(store)
            if recovering:
                store.count()
            return True

        done = self._attempt(whole, otherwise=False)
        if done and recovering:
            self.problem = None
            self._complaints.settle("disk")
            log.warning("%s: the disk takes events again", self.path)
        return done

    def read(self, action: Callable[[EventStore], T], otherwise: T) -> T:
        """What the file says, or `otherwise` if it can't be read."""
        if self.store is None and self._now_s() < self._retry_s:
            return otherwise
        return self._attempt(action, otherwise)

    def close(self) -> None:
        """Let go of the file."""
        if self.store is not None:
            self.store.close()
        if self._lock is not None:
            self._lock.close()
        self.store, self._lock = None, None

    def _attempt(self, action: Callable[[EventStore], T], otherwise: T) -> T:
        try:
            return action(self._opened())
        except FAILURES as error:
            if not is_damage(error):
                self._give_up(error)
                return otherwise
            self._complaints.warn("damage", f"{self.path}: damaged ({_reason(error)})")
        try:
            self._start_anew()
            return action(self._opened())
        except FAILURES as error:
            self._give_up(error)
            return otherwise

    def _opened(self) -> EventStore:
        if self.store is None:
            self._open()
        if self.store is None:
            raise sqlite3.OperationalError("it can't be opened")
        return self.store

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if self._lock is None:
            self._claim()
        try:
            if self.path.is_dir():
                raise DamagedError("it is a folder")
            self.store = EventStore(self.path)
        except sqlite3.Error as error:
            if not is_damage(error):
                raise
            self._start_anew()

    def _start_anew(self) -> None:
        if self.store is not None:
            self.store.close()
            self.store = None
        self.recovered_from = move_aside(self.path)
        self.store = EventStore(self.path)
        log.error(
            "%s was damaged, and lies in %s now; the events in it that had not been delivered "
            "are missing",
            self.path, self.recovered_from,
        )  # fmt: skip

    def _claim(self) -> None:
        lock = self.path.with_suffix(".lock").open("w", encoding="ascii")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise InUseError(
                "another node is using it; give each its own [node] state_dir"
            ) from None
        self._lock = lock

    def _give_up(self, error: Exception) -> None:
        self.problem = f"{self.path}: {_reason(error)}"
        self._retry_s = self._now_s() + RETRY_S
        self._complaints.warn(
            "disk", f"{self.problem}; events are kept in memory, and would be lost with the power"
        )


def _reason(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
