"""A virtual disk with a volatile write cache, over NBD: a power cut takes what no flush confirmed.

What is modelled: a disk may tell that a write is done while it is only in its cache; at a cut each
such write, in whatever order, has reached the medium, or not, or only its first pages. What a
flush or a FUA write has confirmed stays. What is not: a disk that lies about a flush, and one that
damages sectors which nobody was writing.
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random
    from io import BufferedReader
    from pathlib import Path

MAGIC, OPTION, REPLY = b"NBDMAGIC", b"IHAVEOPT", 0x3E889045565A9
FIXED, NO_ZEROES = 1, 2
OPTION_ABORT, OPTION_GO = 2, 7
REPLY_ACK, REPLY_INFO, REPLY_UNSUPPORTED = 1, 3, 0x80000001
HAS_FLAGS, SEND_FLUSH, SEND_FUA = 1, 4, 8
READ, WRITE, DISCONNECT, FLUSH = 0, 1, 2, 3
FUA = 1
REQUEST, ANSWER = 0x25609513, 0x67446698
INVALID = 22
PAGE_BYTES = 4096  # of flash, which is written whole or not


@dataclass(frozen=True)
class Write:
    """One that the guest takes for done; without a flush it need not last."""

    offset: int
    before: bytes  # what was there
    data: bytes
    lasting: bool  # a FUA write, which may stand among others that aren't


class Cut(NamedTuple):
    """What a power cut did to the cache."""

    waiting: int  # writes in it
    lost: int
    torn: int  # of which only the first pages stayed


Request = Write | None  # None is a flush


def survivors(cache: list[Write], dice: random.Random, luck: float) -> tuple[list[Write], Cut]:
    """What a cut leaves of the cache: each write with a chance of `luck`, or its first pages."""
    left: list[Write] = []
    lost = torn = 0
    for write in cache:
        data = write.data
        if not write.lasting and dice.random() >= luck:
            pages = dice.choice([0, 0, 0, 1, 3]) if luck else 0
            end = (write.offset // PAGE_BYTES + pages) * PAGE_BYTES
            data = data[: max(0, end - write.offset)]
        lost += not data
        torn += 0 < len(data) < len(write.data)
        if data:
            left.append(Write(write.offset, write.before[: len(data)], data, write.lasting))
    return left, Cut(len(cache), lost, torn)


class Disk:
    """A file as a disk, for one client after another.

    Args:
        medium: the file.
        address: of the Unix socket to serve it at.
    """

    def __init__(self, medium: Path, address: Path) -> None:
        self.medium, self.address = medium, address
        self.dead = threading.Event()  # the cut has come; nothing is answered any more
        self.requests = 0  # writes and flushes so far
        self._lock = threading.Lock()
        self._cache: list[Write] = []
        self._log: list[Request] | None = None
        self._left: int | None = None  # requests to answer before the cut
        self._file = os.open(medium, os.O_RDWR | os.O_CLOEXEC)
        self._bytes = os.fstat(self._file).st_size
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(address))
        self._listener.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._listener.close()
        with self._lock:
            self.dead.set()
            os.close(self._file)
        self.address.unlink()

    def cut_after(self, requests: int) -> None:
        """Answer so many more writes and flushes, and then nothing: see `dead`."""
        with self._lock:
            self._left = requests

    def die(self) -> None:
        """Answer nothing any more."""
        with self._lock:
            self.dead.set()

    def lose(self, dice: random.Random) -> Cut:
        """Once the machine is off: what was in the cache becomes what a cut leaves of it."""
        with self._lock:
            cache, self._cache = self._cache, []
            for write in reversed(cache):
                os.pwrite(self._file, write.before, write.offset)
            left, cut = survivors(cache, dice, dice.choice([0.0, 0.5, dice.random(), 0.95]))
            for write in left:
                os.pwrite(self._file, write.data, write.offset)
            return cut

    def record(self) -> list[Request]:
        """A log of all writes and flushes from now on; first what is in the cache."""
        with self._lock:
            self._log = [*self._cache]
            return self._log

    def _serve(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                with self._lock:  # the one before has gone: on again
                    self._left = None
                    self.dead.clear()
                with client, client.makefile("rb") as stream, suppress(OSError, EOFError):
                    self._greet(client, _Reader(stream))
                    self._transmit(client, _Reader(stream))

    def _greet(self, client: socket.socket, stream: _Reader) -> None:
        client.sendall(MAGIC + OPTION + struct.pack(">H", FIXED | NO_ZEROES))
        stream.take(4)
        while True:
            _, option, length = struct.unpack(">8sII", stream.take(16))
            stream.take(length)
            head = struct.pack(">QI", REPLY, option)
            if option == OPTION_GO:
                flags = HAS_FLAGS | SEND_FLUSH | SEND_FUA
                client.sendall(head + struct.pack(">IIHQH", REPLY_INFO, 12, 0, self._bytes, flags))
                client.sendall(head + struct.pack(">II", REPLY_ACK, 0))
                return
            if option == OPTION_ABORT:
                raise EOFError
            client.sendall(head + struct.pack(">II", REPLY_UNSUPPORTED, 0))

    def _transmit(self, client: socket.socket, stream: _Reader) -> None:
        while True:
            head = struct.unpack(">IHHQQI", stream.take(28))
            _, flags, kind, handle, offset, length = head
            if kind == DISCONNECT:
                return
            data = stream.take(length) if kind == WRITE else b""
            with self._lock:
                if not self._lives(kind):
                    continue  # until the machine is off, too
                error, found = self._do(kind, flags, offset, length, data)
            client.sendall(struct.pack(">IIQ", ANSWER, error, handle) + found)

    def _lives(self, kind: int) -> bool:
        """Whether this request is answered yet."""
        if kind in {WRITE, FLUSH} and not self.dead.is_set():
            self.requests += 1
            if self._left is not None:
                self._left -= 1
                if self._left < 0:
                    self.dead.set()
        return not self.dead.is_set()

    def _do(
        self, kind: int, flags: int, offset: int, length: int, data: bytes
    ) -> tuple[int, bytes]:
        if offset + length > self._bytes:
            return INVALID, b""
        if kind == READ:
            return 0, os.pread(self._file, length, offset)
        if kind == WRITE:
            before = os.pread(self._file, length, offset)
            self._cache.append(Write(offset, before, data, bool(flags & FUA)))
            self._note(self._cache[-1])
            os.pwrite(self._file, data, offset)
        elif kind == FLUSH:
            self._cache.clear()
            self._note(None)
        else:
            return INVALID, b""
        return 0, b""

    def _note(self, request: Request) -> None:
        if self._log is not None:
            self._log.append(request)


class _Reader:
    """Whole messages of a stream."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream

    def take(self, count: int) -> bytes:
        """So many bytes.

        Raises:
            EOFError: the other side has gone.
        """
        data = self._stream.read(count)
        if len(data) < count:
            raise EOFError
        return data
