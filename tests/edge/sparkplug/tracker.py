"""A host application's book-keeping: what it believes of an edge node, and what it complains about.

As the specification describes hosts: births define, DATA updates, sequence numbers have no gap, a
death counts only with the bdSeq of the birth it ends.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.sparkplug.payload import Payload, Told, decode
from edge.sparkplug.topics import MessageType, parse

if TYPE_CHECKING:
    from edge.sparkplug.datatypes import Value

Key = tuple[str | None, str]  # device, metric


@dataclass
class Seen:
    """A value, as it came."""

    value: Value
    timestamp_ms: int
    is_historical: bool
    quality: Value


class Believed(dict[Key, Seen]):
    """By metric; what was never told is an empty value."""

    def __missing__(self, key: Key) -> Seen:
        return Seen(None, 0, False, None)


@dataclass
class Tracker:
    """Feed it with every message; `faults` stays empty as long as all is well."""

    online: bool = False
    bd_seq: int | None = None
    births: int = 0
    messages: int = 0
    devices: dict[str, bool] = field(default_factory=dict)
    now: Believed = field(default_factory=Believed)
    everything: dict[Key, list[Seen]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    late_deaths: int = 0
    _seq: int = 0
    _names: dict[int, Key] = field(default_factory=dict)

    def hear(self, topic: str, data: bytes) -> None:
        """Take a message of an edge node."""
        address = parse(topic)
        if address is None or address.type in {MessageType.NCMD, MessageType.DCMD}:
            return
        self.messages += 1
        payload = decode(data)
        if address.type is MessageType.NDEATH:
            self._die(payload)
            return
        if address.type is MessageType.NBIRTH:
            self._bear(payload)
        elif not self.online:
            self.faults.append(f"{topic} before NBIRTH")
        elif payload.seq != (self._seq + 1) % 256:
            self.faults.append(f"{topic}: seq {payload.seq} after {self._seq}")
        self._seq = payload.seq or 0
        birth = address.type.is_birth
        for metric in payload.metrics:
            self._metric(address.device, metric, topic, birth=birth)
        self._of_device(address.type, address.device, topic)

    def values(self, device: str | None, name: str) -> list[Value]:
        """All that was told of a metric."""
        return [seen.value for seen in self.everything.get((device, name), [])]

    def _bear(self, payload: Payload) -> None:
        if payload.seq != 0:
            self.faults.append(f"NBIRTH with seq {payload.seq}")
        self.online, self.births = True, self.births + 1
        self.devices, self._names = {}, {}
        self.now.clear()
        numbers = [metric.value for metric in payload.metrics if metric.name == "bdSeq"]
        (number,) = numbers
        assert isinstance(number, int)
        self.bd_seq = number

    def _die(self, payload: Payload) -> None:
        (metric,) = payload.metrics
        if metric.value != self.bd_seq or not self.online:
            self.late_deaths += 1
            return
        self.online = False
        self.devices = dict.fromkeys(self.devices, False)

    def _of_device(self, type_: MessageType, device: str | None, topic: str) -> None:
        if device is None:
            return
        if type_ is MessageType.DBIRTH:
            self.devices[device] = True
        elif not self.devices.get(device):
            self.faults.append(f"{topic} without DBIRTH")
        if type_ is MessageType.DDEATH:
            self.devices[device] = False

    def _metric(self, device: str | None, told: Told, topic: str, *, birth: bool) -> None:
        key = self._names.get(told.alias or 0) if told.name is None else (device, told.name)
        if key is None or (not birth and key not in self.now):
            self.faults.append(f"{topic}: {told.name or told.alias} was not in a birth")
            return
        if birth and told.alias is not None:
            if self._names.get(told.alias, key) != key:
                self.faults.append(f"{topic}: alias {told.alias} twice")
            self._names[told.alias] = key
        if told.timestamp_ms is None:
            self.faults.append(f"{topic}: {key} without a timestamp")
            return
        quality = told.properties.get("Quality", 192)
        seen = Seen(told.value, told.timestamp_ms, told.is_historical, quality)
        self.everything.setdefault(key, []).append(seen)
        if not told.is_historical:
            self.now[key] = seen
