"""Removing old versions of a bundle, so that a card doesn't fill up with them.

What stays: the current version, those on trial, and the last few good ones, first of all those
that `rollback` goes to. Of versions that failed, the history keeps why. A version is renamed to a
leftover's name before any of its files goes: after a power cut it is there whole, or not at all.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from edge.bundle_store import KEPT, VERSIONS, current_name, remove_leftovers
from edge.bundle_versions import is_whole
from edge.durable import LEFTOVER, locked, sync_folder
from edge.errors import BundleError
from edge.history import read_history

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from edge.history import History

log = logging.getLogger(__name__)

KEPT_GOOD = 5  # beside the current one and those on trial


def prune(path: Path) -> list[str]:
    """Remove what need not stay; returns the names of those versions.

    Called by whoever has written a version. What can't be removed is one line in the log: the
    version that was written is good all the same.
    """
    versions = path / VERSIONS
    try:
        with locked(path):
            there = [each.name for each in versions.iterdir() if not _is_leftover(each.name)]
            history, current = read_history(path), current_name(path)
            stay = staying(history, current, there, lambda name: is_whole(versions / name))
            removed = [name for name in there if name not in stay]
            for name in removed:
                (versions / name).rename(versions / f"{LEFTOVER}{name}")
            if removed:
                sync_folder(versions)
                remove_leftovers(path, versions)
            return removed
    except (OSError, BundleError) as error:
        log.warning("%s: old versions can't be removed: %s", path, error)
        return []


def staying(
    history: History, current: str | None, there: Collection[str], whole: Callable[[str], bool]
) -> set[str]:
    """Which versions are not to be removed.

    Args:
        history: of the bundle.
        current: the current version.
        there: those on disk.
        whole: whether one of them is; asked only about those that could be gone back to.
    """
    targets = [name for name in history.before(current) if name in there]
    good = list(dict.fromkeys(targets))[:KEPT_GOOD]
    if not any(map(whole, good)):
        good += [name for name in targets if whole(name)][:1]
    others = (name for name in there if name not in history.failed and name not in targets)
    spare = sorted(others, key=lambda name: (not name.startswith(KEPT), name), reverse=True)
    idle = [name for name in spare if name != current and name not in history.trials]
    good += idle[: max(0, KEPT_GOOD - len(good))]
    return {name for name in there if name == current or name in history.trials or name in good}


def _is_leftover(name: str) -> bool:
    return name.startswith(LEFTOVER)
