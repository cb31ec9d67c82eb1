"""A damaged outbox is moved aside, for a person to look at, so that the node can go on."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

KEPT = 3
NAME = re.compile(r"outbox\.corrupt-(\d{1,9})\Z")
COMPANIONS = ("-wal", "-shm")  # SQLite's own files beside each database


def move_aside(path: Path) -> Path:
    """Rename a damaged file to `outbox.corrupt-<n>`; of these the newest three stay.

    Raises:
        OSError: it can't be renamed.
    """
    numbers = _numbers(path.parent)
    aside = path.with_name(f"outbox.corrupt-{max(numbers, default=0) + 1}")
    for companion in COMPANIONS:  # first: a new database must not find an old one's log
        beside = path.with_name(path.name + companion)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + companion))
    path.rename(aside)
    for number in numbers[: max(0, len(numbers) + 1 - KEPT)]:
        _remove(path.with_name(f"outbox.corrupt-{number}"))
    return aside


def _numbers(folder: Path) -> list[int]:
    found = (NAME.match(entry.name) for entry in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def _remove(aside: Path) -> None:
    for path in (aside, *(aside.with_name(aside.name + companion) for companion in COMPANIONS)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
