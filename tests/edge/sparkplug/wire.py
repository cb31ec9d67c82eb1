"""A TCP hop that reads MQTT as it passes, both ways, and can cut."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14
V5 = 5


@dataclass(frozen=True)
class Will:
    """Of a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True)
class Packet:
    """One control packet. What its kind doesn't have is left as it is."""

    session: int
    by_node: bool
    kind: int
    # CONNECT
    level: int = 0
    clean: bool = False
    session_expiry_s: int = 0
    client_id: str = ""
    will: Will | None = None
    # PUBLISH
    topic: str = ""
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    # SUBSCRIBE
    filters: tuple[tuple[str, int], ...] = ()
    # DISCONNECT
    reason: int = 0


@dataclass
class _Reader:
    """Bytes taken from the front."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def text(self) -> str:
        return self.binary().decode()

    def binary(self) -> bytes:
        return self.take(self.number(2))

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.number(1)
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value

    def properties(self, level: int) -> bytes:
        return self.take(self.varint()) if level == V5 else b""

    @property
    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)


@dataclass
class _Stream:
    """One direction of one connection."""

    session: int
    by_node: bool
    level: list[int]  # of the session, learnt from its CONNECT
    buffer: bytes = b""

    def feed(self, data: bytes) -> list[Packet]:
        """The packets that are complete now."""
        self.buffer += data
        packets = []
        while (size := self._size()) is not None and len(self.buffer) >= sum(size):
            head, body = self.buffer[0], self.buffer[size[0] : sum(size)]
            self.buffer = self.buffer[sum(size) :]
            packets.append(self._packet(head, _Reader(body)))
        return packets

    def _size(self) -> tuple[int, int] | None:
        """Bytes of the fixed header and of the rest."""
        for count in range(1, min(5, len(self.buffer))):
            if not self.buffer[count] & 128:
                return count + 1, _Reader(self.buffer, 1).varint()
        return None

    def _packet(self, head: int, body: _Reader) -> Packet:
        kind = head >> 4
        if kind == CONNECT:
            return self._connect(body)
        if kind == PUBLISH:
            qos = head >> 1 & 3
            topic = body.text()
            body.take(2 if qos else 0)
            body.properties(self.level[0])
            return Packet(self.session, self.by_node, kind, topic=topic, payload=body.rest,
                          qos=qos, retain=bool(head & 1))  # fmt: skip
        if kind == SUBSCRIBE:
            body.take(2)
            body.properties(self.level[0])
            filters = []
            while body.at < len(body.data):
                filters.append((body.text(), body.number(1) & 3))
            return Packet(self.session, self.by_node, kind, filters=tuple(filters))
        reason = body.number(1) if kind == DISCONNECT and body.data else 0
        return Packet(self.session, self.by_node, kind, reason=reason)

    def _connect(self, body: _Reader) -> Packet:
        assert body.text() == "MQTT"
        level, flags, _keepalive = struct.unpack("!BBH", body.take(4))
        self.level[0] = level
        properties = _Reader(body.properties(level))
        expiry_s = properties.number(4) if properties.data[:1] == b"\x11" else 0
        client_id, will = body.text(), None
        if flags & 4:
            body.properties(level)
            topic, payload = body.text(), body.binary()
            will = Will(topic, payload, flags >> 3 & 3, bool(flags & 32))
        return Packet(
            self.session, self.by_node, CONNECT, level=level, clean=bool(flags & 2),
            session_expiry_s=expiry_s, client_id=client_id, will=will,
        )  # fmt: skip


@dataclass
class Proxy:
    """Between the node and a broker; use it as a context manager."""

    broker_port: int
    port: int = 0
    packets: list[Packet] = field(default_factory=list)
    answering: threading.Event = field(default_factory=threading.Event)
    when_sent: Callable[[Packet], None] = lambda _: None
    first_session: int = 1

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        self._open: list[socket.socket] = []
        self._half_open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._sessions = self.first_session - 1
        self.answering.set()
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    @property
    def url(self) -> str:
        """For the node."""
        return f"mqtt://127.0.0.1:{self.port}"

    def sent(self) -> list[Packet]:
        """What the node has sent so far."""
        with self._lock:
            return [packet for packet in self.packets if packet.by_node]

    def cut(self) -> None:
        """End every connection, in both directions, at once."""
        for side in self._open:
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def cut_from_node(self) -> None:
        """The node's link is gone; the broker does not know it yet."""
        for side in self._open[::2]:
            self._half_open.append(self._open[self._open.index(side) + 1])
            with suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                node, _ = self._listener.accept()
                try:
                    broker = socket.create_connection(("127.0.0.1", self.broker_port), timeout=5)
                except OSError:
                    node.close()
                    continue
                broker.settimeout(None)
                self._open += [node, broker]
                self._sessions += 1
                level = [4]
                for ends, by_node in (((node, broker), True), ((broker, node), False)):
                    stream = _Stream(self._sessions, by_node, level)
                    threading.Thread(target=self._carry, args=(*ends, stream), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, stream: _Stream) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                packets = stream.feed(data)
                with self._lock:
                    self.packets += packets
                if not stream.by_node:
                    self.answering.wait(30.0)
                sink.sendall(data)
                for packet in packets:
                    self.when_sent(packet)
        for side in (source, sink):
            if side not in self._half_open:
                with suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
