"""A link that can be held, slowed down and cut: a TCP hop in front of a real broker."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from tests.edge.delivery.test_listen import DEADLINE_S


class Proxy:
    """A TCP hop to the broker: it counts, holds or delays either direction, and cuts."""

    def __init__(self, broker_port: int) -> None:
        self._broker_port = broker_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.connections = 0
        self.sent_bytes = 0  # towards the broker
        self.latency_s = 0.0
        self.sending, self.answering = threading.Event(), threading.Event()
        self.sending.set()
        self.answering.set()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End every connection, with what is still held."""
        for side in self._open:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def close(self) -> None:
        """Listen no more."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        self.sending.set()
        self.answering.set()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                node, _ = self._listener.accept()
                self.connections += 1
                self._join(node)

    def _join(self, node: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self._broker_port))
        except OSError:
            node.close()
            return
        self._open += [node, broker]
        for ends in ((node, broker, self.sending), (broker, node, self.answering)):
            threading.Thread(target=self._carry, args=ends, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, may: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                may.wait(DEADLINE_S)
                time.sleep(self.latency_s)
                sink.sendall(data)
                if may is self.sending:
                    self.sent_bytes += len(data)
        for side in (source, sink):
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
