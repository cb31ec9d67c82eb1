"""An alarm on disk: one small file, replaced in one step, written only when something changed.

Nothing raises: a node that can't keep its alarm still has one.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from edge.alarms.alarm import Alarm
from edge.alarms.record import NOTHING_KEPT, encode, restore

if TYPE_CHECKING:
    from pathlib import Path

    from edge.alarms.settings import AlarmSettings

MAX_BYTES = 1 << 20  # ours have some 20 KB
RETRY_S = 30.0  # after a failed write
WRITING = ".writing"


class AlarmStore:
    """The file of one alarm. A power cut leaves the old state or the new one.

    Args:
        path: the file; its folder is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._kept: int | None = None  # revision on disk
        self._trouble: str | None = None
        self._retry_at_s = 0.0

    def open(self, settings: AlarmSettings, now_s: float, utc_s: float) -> tuple[Alarm, str | None]:
        """The alarm as it was kept, or a new one; and in one line why it is new, if it should not.

        Args:
            settings: of the alarm.
            now_s: the monotonic clock.
            utc_s: the wall clock, in seconds since 1970.
        """
        try:
            data = _read(self.path)
        except FileNotFoundError:
            alarm, note = Alarm(settings, now_s), None
        except (OSError, ValueError) as error:
            alarm = Alarm(settings, now_s)
            note = f"can't be read ({_reason(error)}); {NOTHING_KEPT}"
        else:
            alarm, note = restore(data, settings, now_s, utc_s)
        self._kept = None if note else alarm.revision
        return alarm, f"{self.path}: {note}" if note else None

    def save(self, alarm: Alarm, now_s: float, utc_s: float) -> str | None:
        """Write the alarm if it has changed. Returns, in one line, why it can't be written.

        After a failure the next attempt comes 30 s later; until then the reason is repeated.
        """
        if alarm.revision == self._kept:
            return None
        if self._trouble and now_s < self._retry_at_s:
            return self._trouble
        try:
            _replace(self.path, encode(alarm, now_s, utc_s))
        except (OSError, ValueError) as error:
            self._retry_at_s = now_s + RETRY_S
            self._trouble = f"{self.path}: can't keep the alarm's state ({_reason(error)})"
            return self._trouble
        self._kept, self._trouble = alarm.revision, None
        return None


def _read(path: Path) -> bytes:
    # Without O_NONBLOCK a pipe in the file's place would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("not a file")
        return file.read(MAX_BYTES)


def _replace(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + WRITING)
    try:
        with fresh.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return text or next(iter(str(error).splitlines()), type(error).__name__)
