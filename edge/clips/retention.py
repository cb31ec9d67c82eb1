"""Deletes clips, oldest first, until age, number, size and free space are within their limits.

What is there is found by looking, so that it doesn't matter who wrote it or what was lost. A clip
is every file of one ULID, so a picture whose sound is gone goes by the same rule. What has another
name isn't ours: it is left alone, and stops nothing. No link is followed.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from edge.clips.names import WRITING, is_day, parse_file, ulid_utc_s

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.clips.settings import ClipSettings

MB = 1_000_000
DAY_S = 86_400.0
AHEAD_S = DAY_S  # what is dated later than that was written with a wrong clock, or now is wrong
BLOCK_BYTES = 512  # of st_blocks, whatever the file system


class Limits(NamedTuple):
    """What may be kept."""

    max_age_s: float
    max_count: int
    max_bytes: int
    min_free_bytes: int

    @classmethod
    def of(cls, settings: ClipSettings) -> Limits:
        """As configured."""
        return cls(
            settings.max_age_days * DAY_S,
            settings.max_count,
            settings.max_mb * MB,
            settings.min_free_mb * MB,
        )


@dataclass(frozen=True)
class Kept:
    """What a pass has left."""

    count: int  # clips
    bytes: int  # on disk
    deleted: int  # clips
    troubles: list[str]  # what could not be looked at or deleted, and why


class _Found(NamedTuple):
    """Files of one clip; they sort in the order in which they go."""

    rank: int
    utc_s: float
    day: str
    ulid: str
    suffixes: tuple[str, ...]
    bytes: int


_EXPIRED, _MISDATED, _DATED = range(3)  # too old, or never finished; of unknown age; of known age


def retain(folder: Path, limits: Limits, utc_s: float) -> Kept:
    """One pass. It deletes any number of clips, however many have come since the last.

    Args:
        folder: of the days' folders. A missing one holds nothing.
        limits: what may be kept.
        utc_s: the wall clock, in seconds since 1970.

    Raises:
        OSError: the folder can't be looked through.
    """
    troubles: list[str] = []
    found = sorted(_clips(folder, utc_s, limits.max_age_s, troubles))
    count, total = len(found), sum(clip.bytes for clip in found)
    missing = limits.min_free_bytes - free_bytes(folder) if found else 0
    for clip in found:
        within = count <= limits.max_count and total <= limits.max_bytes and missing <= 0
        if within and clip.rank != _EXPIRED:
            break
        try:
            _delete(folder, clip)
        except OSError as error:
            troubles.append(_told(clip.ulid, error))
            continue
        count, total, missing = count - 1, total - clip.bytes, missing - clip.bytes
    _remove_empty_days(folder)
    return Kept(count, total, len(found) - count, troubles)


def free_bytes(folder: Path) -> int:
    """What a program without privileges may still write where a folder is.

    Raises:
        OSError: the folder isn't there.
    """
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _clips(folder: Path, utc_s: float, max_age_s: float, troubles: list[str]) -> Iterator[_Found]:
    for day in _days(folder):
        files: dict[tuple[str, bool], dict[str, int]] = {}
        try:
            for ulid, suffix, size in _own_files(folder / day):
                files.setdefault((ulid, suffix.endswith(WRITING)), {})[suffix] = size
        except OSError as error:
            troubles.append(_told(day, error))
        for (ulid, incomplete), sizes in files.items():
            made_s = ulid_utc_s(ulid)
            dated = _DATED if made_s <= utc_s + AHEAD_S else _MISDATED
            rank = _EXPIRED if incomplete or made_s < utc_s - max_age_s else dated
            yield _Found(rank, made_s, day, ulid, tuple(sizes), sum(sizes.values()))


def _days(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [e.name for e in entries if is_day(e.name) and e.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []


def _own_files(day: Path) -> Iterator[tuple[str, str, int]]:
    """ULID, suffix and size on disk; one that goes meanwhile is no trouble."""
    with os.scandir(day) as entries:
        for entry in entries:
            named = parse_file(entry.name)
            if named and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    yield *named, max(found.st_size, BLOCK_BYTES * found.st_blocks)


def _delete(folder: Path, clip: _Found) -> None:
    for suffix in clip.suffixes:
        (folder / clip.day / f"{clip.ulid}{suffix}").unlink(missing_ok=True)


def _remove_empty_days(folder: Path) -> None:
    for day in _days(folder):
        with contextlib.suppress(OSError):  # not empty, mostly
            (folder / day).rmdir()


def _told(what: str, error: OSError) -> str:
    return f"{what}: {error.strerror or type(error).__name__}"
