"""The node's socket in the file system: mode 0660, replaced in one step, at any length of path."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MODE = 0o660
LONGEST_BYTES = 107  # sun_path of unix(7), without its end
BACKLOG = 16
AGAIN_S = 0.02


def listen(path: Path) -> socket.socket:
    """A listening socket at a path, in the place of one that a dead node left behind.

    Raises:
        OSError: something else is there, or nothing can be made there.
    """
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "something else than a socket is there", str(path))
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        os.fchmod(made.fileno(), MODE)  # what `bind` starts from, so that it is never wider
        with address_of(fresh) as address:
            made.bind(address)
        fresh.chmod(MODE)
        made.listen(BACKLOG)
        made.setblocking(False)
        fresh.replace(path)
    except BaseException:
        made.close()
        raise
    return made


def connect(path: Path, timeout_s: float) -> socket.socket:
    """A connection to whoever listens at a path.

    Raises:
        OSError: nobody, or no permission.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.settimeout(timeout_s)
        with address_of(path) as address:
            _knock(made, address, time.monotonic() + timeout_s)
    except BaseException:
        made.close()
        raise
    return made


def _knock(made: socket.socket, address: str, deadline_s: float) -> None:
    """Where others are waiting to be let in, a socket with a timeout is turned away at once."""
    while (code := made.connect_ex(address)) == errno.EAGAIN:
        if time.monotonic() > deadline_s:
            raise TimeoutError(errno.ETIMEDOUT, "nobody opens")
        time.sleep(AGAIN_S)
    if code:
        raise OSError(code, os.strerror(code))


@contextlib.contextmanager
def address_of(path: Path) -> Iterator[str]:
    """A text for a path that fits into a socket's address: through an open folder if need be."""
    if len(os.fsencode(path)) <= LONGEST_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
