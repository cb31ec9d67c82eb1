"""The other end of the node's socket: snapshots as they come, each wait with a deadline."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from edge.errors import EarpatchError
from edge.status.snapshot import MAX_LINE_BYTES, Refused, Snapshot
from edge.status.socket_file import connect

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator
    from pathlib import Path

ANSWER_S = 5.0
READ_BYTES = 65_536


class NotRunningError(EarpatchError):
    """There is no node to look at."""

    exit_code = 4


def snapshots(path: Path, answer_s: float = ANSWER_S) -> Iterator[Snapshot]:
    """What a node tells, until it ends.

    Args:
        path: of its socket.
        answer_s: how long to wait for each.

    Raises:
        NotRunningError: nobody listens there.
        EarpatchError: it doesn't answer in time, won't, or not as this program understands it.
    """
    with closing(_connected(path, answer_s)) as link:
        data, deadline_s = b"", time.monotonic() + answer_s
        while True:
            line, found, rest = data.partition(b"\n")
            if found:
                yield _decoded(line)
                data, deadline_s = rest, time.monotonic() + answer_s
                continue
            if len(data) > MAX_LINE_BYTES:
                raise EarpatchError(f"{path}: more than a status can be; is another program there?")
            more = _read(link, path, deadline_s)
            if not more:
                return
            data += more


def first_snapshot(path: Path, answer_s: float = ANSWER_S) -> Snapshot:
    """What a node tells now.

    Raises:
        EarpatchError: as `snapshots`.
    """
    for snapshot in snapshots(path, answer_s):
        return snapshot
    raise NotRunningError(f"{path}: the node has just ended")


def _connected(path: Path, answer_s: float) -> socket.socket:
    try:
        return connect(path, answer_s)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise NotRunningError(f"the node is not running: nobody answers at {path}") from None
    except PermissionError:
        raise EarpatchError(
            f"{path}: you may not look at this node; use sudo, or become a member of its group "
            "(sudo adduser $USER earpatch, then log in again)"
        ) from None
    except OSError as error:
        raise EarpatchError(f"{path}: can't be reached ({error.strerror or error})") from None


def _read(link: socket.socket, path: Path, deadline_s: float) -> bytes:
    try:
        link.settimeout(max(0.01, deadline_s - time.monotonic()))
        return link.recv(READ_BYTES)
    except TimeoutError:
        raise EarpatchError(
            f"{path}: the node runs, but its loop does not answer; see its log"
        ) from None
    except OSError:
        return b""


def _decoded(line: bytes) -> Snapshot:
    try:
        told = msgspec.json.decode(line, type=Snapshot | Refused)
    except msgspec.DecodeError as error:
        raise EarpatchError(
            f"the node tells something else than this program reads: {error}"
        ) from None
    if isinstance(told, Refused):
        raise EarpatchError(told.reason)
    return told
