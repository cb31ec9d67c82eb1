"""Tells those who look how the node is: a thread of its own, which the loop never waits for.

The loop hands over a frozen snapshot when one is wanted, and goes on. Whoever reads too slowly
misses snapshots, then is dropped. What goes wrong here is a line in the log, and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from typing import TYPE_CHECKING

import msgspec

from edge.status.snapshot import Refused, encoded
from edge.status.socket_file import listen

if TYPE_CHECKING:
    from pathlib import Path

    from edge.status.snapshot import Snapshot

log = logging.getLogger(__name__)

EVERY_S = 0.5  # between snapshots
MAX_CLIENTS = 4
SLOW_S = 5.0  # without taking a byte
TICK_S = 1.0
PAUSE_S = 1.0  # after an accept that failed, as it does when there are too many files open
JOIN_S = 2.0
FULL = Refused(f"{MAX_CLIENTS} others are looking at this node; end one of them")


class StatusServer:
    """Serves snapshots on a socket. Its methods never wait and raise nothing.

    Args:
        path: of the socket.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._listener: socket.socket | None = None
        self._wake: socket.socket | None = None
        self._clients: dict[int, _Client] = {}
        self._selector = selectors.DefaultSelector()
        self._fresh: Snapshot | None = None
        self._stop, self._new = threading.Event(), threading.Event()
        self._offered_s = float("-inf")
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen; without a socket the node goes on all the same."""
        try:
            self._listener = listen(self._path)
            woken, self._wake = socket.socketpair()
        except OSError as error:
            log.warning("%s: status can't be served (%s)", self._path, error.strerror)
            return
        self._wake.setblocking(False)
        woken.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(woken, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, args=(woken,), name="status", daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> bool:
        """Whether it is time for the next snapshot, and somebody looks."""
        if self._new.is_set():
            return True
        return bool(self._clients) and time.monotonic() - self._offered_s >= EVERY_S

    def offer(self, snapshot: Snapshot) -> None:
        """Hand over the present state."""
        self._offered_s = time.monotonic()
        self._fresh = snapshot
        self._new.clear()
        self._nudge()

    def close(self) -> None:
        """The node ends."""
        self._stop.set()
        self._nudge()
        if self._thread is not None:
            self._thread.join(JOIN_S)
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
        for each in (self._listener, self._wake):
            if each is not None:
                each.close()
        self._selector.close()

    def _nudge(self) -> None:
        if self._wake is not None:
            with contextlib.suppress(OSError):  # full: it will look anyway
                self._wake.send(b".")

    def _run(self, woken: socket.socket) -> None:
        try:
            self._serve(woken)
        except Exception:
            log.exception("status isn't served any more; the node goes on")
        finally:
            for client in list(self._clients.values()):
                self._drop(client)
            woken.close()

    def _serve(self, woken: socket.socket) -> None:
        assert self._listener is not None  # noqa: S101  (`start` has just made it)
        while not self._stop.is_set():
            for key, events in self._selector.select(TICK_S):
                if key.fileobj is self._listener:
                    self._accept(self._listener)
                elif key.fileobj is woken:
                    with contextlib.suppress(OSError):
                        woken.recv(1_024)
                    self._hand_out()
                elif (client := self._clients.get(key.fd)) is not None:
                    self._attend(client, events)
            self._drop_slow()

    def _accept(self, listener: socket.socket) -> None:
        try:
            link, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            log.warning("%s: nobody can look now (%s)", self._path, error.strerror)
            self._stop.wait(PAUSE_S)
            return
        link.setblocking(False)
        if len(self._clients) >= MAX_CLIENTS:
            with contextlib.suppress(OSError):
                link.send(msgspec.json.encode(FULL) + b"\n")
            link.close()
            return
        self._clients[link.fileno()] = _Client(link)
        self._selector.register(link, selectors.EVENT_READ)
        self._new.set()

    def _hand_out(self) -> None:
        snapshot, self._fresh = self._fresh, None
        if snapshot is None:
            return
        line = encoded(snapshot)
        for client in list(self._clients.values()):
            if client.give(line):
                self._send(client)

    def _attend(self, client: _Client, events: int) -> None:
        if events & selectors.EVENT_WRITE:
            self._send(client)
        elif events & selectors.EVENT_READ:  # it has gone, or speaks: there is nothing to say
            self._drop(client)

    def _send(self, client: _Client) -> None:
        try:
            client.send()
        except OSError:
            self._drop(client)
            return
        more = selectors.EVENT_WRITE if client.waiting else 0
        self._selector.modify(client.link, selectors.EVENT_READ | more)

    def _drop_slow(self) -> None:
        now = time.monotonic()
        for client in list(self._clients.values()):
            if client.waiting and now - client.moved_s > SLOW_S:
                self._drop(client)

    def _drop(self, client: _Client) -> None:
        self._clients.pop(client.link.fileno(), None)
        self._selector.unregister(client.link)
        client.link.close()


class _Client:
    """One who looks, and what is still to be sent there."""

    def __init__(self, link: socket.socket) -> None:
        self.link = link
        self.waiting = b""
        self.moved_s = time.monotonic()  # when it took something last

    def give(self, line: bytes) -> bool:
        """The next line, unless the one before is still on its way."""
        if self.waiting:
            return False
        self.waiting, self.moved_s = line, time.monotonic()
        return True

    def send(self) -> None:
        """As much as it takes now."""
        with contextlib.suppress(BlockingIOError):
            sent = self.link.send(self.waiting)
            self.waiting, self.moved_s = self.waiting[sent:], time.monotonic()
