"""The birth/death sequence number: tells a host which NBIRTH a late NDEATH belongs to.

Each CONNECT has another one than the CONNECT before, power cuts included: else the will of the
session before could declare the present one dead. So it is on disk before the CONNECT is sent.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

MODULUS = 256
MAX_BYTES = 64  # of the file; ours has 8 at most


class BdSeq:
    """A counter in a file. Without a file, or with a damaged one, it starts at 0.

    Args:
        path: the file; its folder is made if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._used = self._read()
        self._reserved: int | None = None
        self._complained = False

    def reserve(self) -> int:
        """The number of the next CONNECT; the same one until it is `used`.

        A disk that can't be written is said once; the number is right as long as the node runs.
        """
        if self._reserved is None:
            self._reserved = 0 if self._used is None else (self._used + 1) % MODULUS
            self._write(self._reserved)
        return self._reserved

    def used(self) -> None:
        """The CONNECT with the reserved number may have been sent."""
        if self._reserved is not None:
            self._used, self._reserved = self._reserved, None

    def _read(self) -> int | None:
        try:
            with self._path.open("rb") as file:
                text = file.read(MAX_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn("can't be read", error.strerror or str(error))
            return None
        # The same number twice: half a write isn't taken for a number.
        first, _, second = text.strip().partition(b" ")
        if first != second or not first.isdigit() or int(first) >= MODULUS:
            self._warn("can't be read", "damaged")
            return None
        return int(first)

    def _write(self, number: int) -> None:
        draft = self._path.with_name(self._path.name + ".writing")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("wb") as file:
                file.write(b"%d %d\n" % (number, number))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            self._sync_folder()
        except OSError as error:
            if not self._complained:
                self._warn("can't be written", error.strerror or str(error))
            self._complained = True

    def _sync_folder(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _warn(self, what: str, why: str) -> None:
        log.warning(
            "%s %s (%s); after a restart a host may take an old will for a new one",
            self._path, what, why,
        )  # fmt: skip
