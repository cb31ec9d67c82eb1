"""Where a clip lies: `<folder>/<yyyy-mm-dd>/<ulid>.flac`, all of it known from the event's id.

A ULID begins with its time in ms since 1970, ten characters of Crockford's base 32, the most
significant first; so the names of clips sort by age, and their age survives copying.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SOUND, PICTURE = ".flac", ".png"
WRITING = ".part"  # behind the name of a file that isn't complete
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_DIGITS = 10
_ULID = re.compile(rf"[0-7][{_DIGITS}]{{25}}")
_FILE = re.compile(rf"({_ULID.pattern})(\.(?:flac|png)(?:\.part)?)")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LAST = datetime.max.replace(tzinfo=timezone.utc)


def is_ulid(text: str) -> bool:
    """Whether a text is a ULID, in capitals."""
    return _ULID.fullmatch(text) is not None


def is_day(text: str) -> bool:
    """Whether a text looks like the name of a day's folder."""
    return _DAY.fullmatch(text) is not None


def parse_file(name: str) -> tuple[str, str] | None:
    """The ULID and the suffix of a clip's file; None where a name is of something else."""
    match = _FILE.fullmatch(name)
    return (match[1], match[2]) if match else None


def ulid_utc_s(ulid: str) -> float:
    """When a ULID was made, in seconds since 1970.

    Raises:
        ValueError: it is none.
    """
    if not is_ulid(ulid):
        raise ValueError(f"{ulid!r} is no ULID")
    time_ms = 0
    for digit in ulid[:_TIME_DIGITS]:
        time_ms = 32 * time_ms + _DIGITS.index(digit)
    return time_ms / 1000


def ulid_utc(ulid: str) -> datetime:
    """The same as a time, UTC; what lies beyond the year 9999 is its end.

    Raises:
        ValueError: it is no ULID.
    """
    seconds = ulid_utc_s(ulid)
    if seconds >= (_LAST - _EPOCH).total_seconds():
        return _LAST
    return _EPOCH + timedelta(seconds=seconds)


def sound_path(folder: Path, event_id: str) -> Path:
    """The sound of an event's clip; its picture lies beside it.

    Raises:
        ValueError: the id is no ULID.
    """
    return folder / f"{ulid_utc(event_id):%Y-%m-%d}" / f"{event_id}{SOUND}"
