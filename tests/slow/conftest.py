"""Parts that the slow tests share."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a file system in memory, on every Linux)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a million small files are written and synced without waiting for a disk."""
    if not IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="earpatch-") as folder:
        yield Path(folder)


@pytest.fixture
def nobody_reads() -> Iterator[None]:
    """A million lines of the log."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
