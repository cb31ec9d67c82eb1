"""Writing files so that a power cut leaves the old content or the new, and one writer at a time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import TYPE_CHECKING

from edge.errors import BundleError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LEFTOVER = ".writing-"  # what a power cut may leave behind begins with this
LOCK_S, LOCK_RETRY_S = 10.0, 0.05


def write_file(path: Path, data: bytes) -> None:
    """Write a file, or replace it, in one step.

    Raises:
        OSError: it can't be written.
    """
    fresh = path.with_name(f"{LEFTOVER}{path.name}")
    write_durably(fresh, data)
    fresh.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else changes the bundle meanwhile; ends with the process, however that ends.

    Raises:
        BundleError: somebody else was at it for ten seconds.
        OSError: there is no such folder.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline_s = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline_s:
                    raise BundleError(f"{path}: another earpatch is changing this bundle") from None
                time.sleep(LOCK_RETRY_S)
        yield
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that nobody looks at yet, down to the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring a folder's names down to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
