"""What an edge node goes through while its packets are captured; the assertions look at them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.payload import Payload, decode
from edge.sparkplug.topics import Address, MessageType, parse
from tests.conftest import free_port, run_mosquitto
from tests.edge.delivery.test_listen import wait_until
from tests.edge.sparkplug.host import REBIRTH_NOW, Host
from tests.edge.sparkplug.parts import anomaly, pause, running, settings, snapshot
from tests.edge.sparkplug.wire import PUBLISH, Packet, Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRIMARY = "scada"
WRAPPED = 300  # DATA messages: more than there are sequence numbers


@cache
def read(payload: bytes) -> Payload:
    """Decoded once, since 160 assertions look at the same packets."""
    return decode(payload)


class Sent(NamedTuple):
    """A Sparkplug message of the node."""

    packet: Packet
    address: Address
    payload: Payload

    @property
    def type(self) -> MessageType:
        """What it is."""
        return self.address.type


@dataclass
class Capture:
    """All packets of a scenario, in order; `marks` are places in it."""

    packets: list[Packet]
    marks: dict[str, int] = field(default_factory=dict)

    def mark(self, name: str) -> None:
        """Here something begins."""
        self.marks[name] = len(self.packets)

    def between(self, begin: str, end: str | None = None) -> Capture:
        """A part of it."""
        return Capture(self.packets[self.marks[begin] : self.marks[end] if end else None])

    def of(self, kind: int, *, by_node: bool = True) -> list[Packet]:
        """Control packets of a kind."""
        return [p for p in self.packets if p.kind == kind and p.by_node == by_node]

    def sent(self, *types: MessageType) -> list[Sent]:
        """Sparkplug messages of the node, of some types or all."""
        found = []
        for packet in self.of(PUBLISH):
            address = parse(packet.topic)
            assert address is not None, packet.topic
            if not types or address.type in types:
                found.append(Sent(packet, address, read(packet.payload)))
        return found

    def sessions(self) -> list[Capture]:
        """The same, session by session."""
        numbers = dict.fromkeys(packet.session for packet in self.packets)
        return [Capture([p for p in self.packets if p.session == n]) for n in numbers]


@dataclass
class World:
    """Every scenario."""

    plain: Capture
    version_5: Capture
    compact: Capture
    primary: Capture
    walk: Capture

    def all(self) -> list[Capture]:
        """For what must hold everywhere."""
        return [self.plain, self.version_5, self.compact, self.primary, self.walk]


def build(folder: Path) -> World:
    """Go through all of it: about twenty seconds."""
    makers: dict[str, Callable[[Path], Capture]] = {
        "plain": plain, "version_5": version_5, "compact": compact, "primary": primary,
        "walk": walk,
    }  # fmt: skip
    captures = {}
    for name, make in makers.items():
        (folder / name).mkdir()
        captures[name] = make(folder / name)
    return World(**captures)


@contextmanager
def site(folder: Path) -> Iterator[tuple[Proxy, Host]]:
    """A broker, a hop that reads along, and a host."""
    with (
        run_mosquitto(folder, free_port()) as broker,
        Proxy(broker.port) as proxy,
        Host(broker.port) as host,
    ):
        yield proxy, host


def plain(folder: Path) -> Capture:
    """Births, 300 events, changes, a microphone that goes and comes, a rebirth, a cut, an end."""
    with site(folder) as (proxy, host):
        capture, heard = Capture(proxy.packets), host.tracker
        with running(folder, proxy.url) as node:
            wait_until(lambda: heard.devices.get("motor"))
            for number in range(WRAPPED):
                node.event(anomaly(number))
            wait_until(lambda: WRAPPED - 1 in heard.values("gearbox", "Event/Sequence"))
            wait_until(lambda: heard.everything["motor", "Score"][-1].is_historical)
            pause()
            capture.mark("unchanged")
            for _ in range(3):
                node.update(snapshot())
                pause()
            capture.mark("changed")
            node.update(snapshot(scores={"gearbox": 2.5}, waiting=4))
            wait_until(lambda: heard.now["gearbox", "Score"].value == 2.5)
            wait_until(lambda: heard.now[None, "Delivery/Events waiting"].value == 4)
            capture.mark("absent")
            node.update(snapshot(states={"motor": "absent"}))
            wait_until(lambda: not heard.devices["motor"])
            capture.mark("present")
            node.update(snapshot())
            wait_until(lambda: heard.devices["motor"])
            capture.mark("deaf")
            node.update(snapshot(states={"motor": "clipped"}))
            wait_until(lambda: heard.now["motor", "Input/State"].value == "clipped")
            capture.mark("rebirth")
            host.say(*REBIRTH_NOW)
            node.event(anomaly(1_000))
            wait_until(lambda: heard.births == 2)
            wait_until(lambda: 1_000 in heard.values("gearbox", "Event/Sequence"))
            capture.mark("commands")
            host.write("gearbox", "Command/Shelve", DataType.DOUBLE, 600.0)
            wait_until(node.commands)
            capture.mark("cut")
            proxy.cut()
            node.event(anomaly(1_001))
            wait_until(lambda: 1_001 in heard.values("gearbox", "Event/Sequence"))
            capture.mark("end")
        wait_until(lambda: not heard.online)
        with running(folder, proxy.url):
            wait_until(lambda: heard.online)
        wait_until(lambda: not heard.online)
        assert heard.faults == []
        return capture


def version_5(folder: Path) -> Capture:
    """MQTT 5: there and gone."""
    with site(folder) as (proxy, host):
        with running(folder, proxy.url, settings(protocol="5")):
            wait_until(lambda: host.tracker.devices.get("motor"))
        wait_until(lambda: not host.tracker.online)
        pause()  # DISCONNECT, and the will that follows it
        return Capture(proxy.packets)


def compact(folder: Path) -> Capture:
    """Aliases in DATA, and in a command."""
    with site(folder) as (proxy, host):
        heard = host.tracker
        with running(folder, proxy.url, settings(compact=True)) as node:
            wait_until(lambda: heard.devices.get("motor"))
            node.event(anomaly(1))
            node.update(snapshot(scores={"gearbox": 2.5}, waiting=4))
            wait_until(lambda: heard.now["gearbox", "Score"].value == 2.5)
            wait_until(lambda: heard.now[None, "Delivery/Events waiting"].value == 4)
            host.say(*REBIRTH_NOW)
            wait_until(lambda: heard.births == 2)
        wait_until(lambda: not heard.online)
        assert heard.faults == []
        return Capture(proxy.packets)


def primary(folder: Path) -> Capture:
    """One broker, a primary host that is waited for, and whose late words don't count."""
    with site(folder) as (proxy, host):
        capture, heard = Capture(proxy.packets), host.tracker
        with running(folder, proxy.url, settings(primary_host=PRIMARY)):
            capture.mark("silence")
            pause()
            capture.mark("another")
            host.state("other", 9_000, online=True)
            pause()
            capture.mark("offline")
            host.state(PRIMARY, 1_000, online=False)
            pause()
            capture.mark("older")
            host.state(PRIMARY, 500, online=True)
            pause()
            capture.mark("online")
            host.state(PRIMARY, 2_000, online=True)
            wait_until(lambda: heard.devices.get("motor"))
            capture.mark("stale")
            host.state(PRIMARY, 1_500, online=False)
            pause()
            capture.mark("gone")
            host.state(PRIMARY, 3_000, online=False)
            wait_until(lambda: not heard.online)
            wait_until(lambda: len(capture.sessions()) == 2)
            pause()
            capture.mark("back")
            host.state(PRIMARY, 4_000, online=True)
            wait_until(lambda: heard.devices.get("motor"))
        return capture


def walk(folder: Path) -> Capture:
    """Two brokers; the primary host is on the second, then on the first."""
    packets: list[Packet] = []
    with (
        run_mosquitto(folder, free_port()) as first,
        run_mosquitto(folder, free_port()) as second,
        Proxy(first.port, packets=packets) as to_first,
        Proxy(second.port, packets=packets, first_session=1_001) as to_second,
        Host(first.port) as on_first,
        Host(second.port) as on_second,
    ):
        capture = Capture(packets)
        on_first.state(PRIMARY, 1_000, online=False)
        on_second.state(PRIMARY, 1_000, online=True)
        chosen = settings(primary_host=PRIMARY, brokers=(to_first.url, to_second.url))
        with running(folder, to_first.url, chosen):
            wait_until(lambda: on_second.tracker.devices.get("motor"))
            capture.mark("move")
            on_first.state(PRIMARY, 2_000, online=True)
            on_second.state(PRIMARY, 2_000, online=False)
            wait_until(lambda: on_first.tracker.devices.get("motor"))
        return capture
