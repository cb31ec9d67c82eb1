"""The largest sequence number that may have been used, beside the outbox that may be lost."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1_000  # numbers reserved at once, so that the file is written once in so many events


class HighWater:
    """A number in a file, replaced as a whole.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserved = self.read() or 0

    def read(self) -> int | None:
        """The number in the file; None if it is missing or damaged."""
        try:
            text = self._path.read_bytes().strip()
        except OSError:
            return None
        # The same number twice: half a write isn't taken for a number.
        first, _, second = text.partition(b" ")
        plausible = first == second and first.isdigit() and len(first) < 16  # noqa: PLR2004
        return int(first) if plausible else None

    def reserve(self, sequence: int) -> None:
        """Be sure that no number up to this one is given again.

        Raises:
            OSError: it can't be written.
        """
        if sequence <= self._reserved:
            return
        number = sequence + STEP
        draft = self._path.with_suffix(".draft")
        with draft.open("wb") as file:
            file.write(b"%d %d\n" % (number, number))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._reserved = number
