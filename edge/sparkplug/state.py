"""An edge node's life: what has to be said, and when. Pure: no network, no thread, no disk.

    offline ── connecting ──> connecting ── subscribed ──> waiting ── host online ──> born
       ^                          |                           |                         |
       +──────────────────────────+────────── lost, left ─────+─────────────────────────+

Without a primary host, waiting ends at once. While born, changes are told as DATA; in every other
phase they wait in the history, and are told with `is_historical` after the next birth. A device is
born while its microphone is there, and dies alone.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from edge.sparkplug.aliases import Aliases
from edge.sparkplug.catalogue import BD_SEQ_DEFINITION, REBIRTH_DEFINITION
from edge.sparkplug.history import History
from edge.sparkplug.host import PrimaryHost
from edge.sparkplug.metrics import REBIRTH, Definition, Metric, Reading
from edge.sparkplug.payload import Message
from edge.sparkplug.topics import MessageType
from edge.sparkplug.values import Change, Values

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from edge.sparkplug.timebase import TimeBase
    from edge.sparkplug.values import DeviceUpdate

SEQ_MODULUS = 256
FLUSHED_AT_ONCE = 200  # values of history in one message
REBIRTH_EVERY_S = 1.0  # a birth is kilobytes, and what asks for it some bytes
MESSAGES_A_TURN = 10  # of history, so that what happens now isn't kept waiting


class Phase(Enum):
    """How far it has come."""

    OFFLINE = "offline"
    CONNECTING = "connecting"
    WAITING = "waiting"  # for the primary host
    BORN = "born"
    LEAVING = "leaving"  # the primary host is gone: so has to be the node


class EdgeNodeState:
    """One edge node and its devices.

    Args:
        node: the node's own metrics, without bdSeq and rebirth.
        devices: each device's metrics.
        times: what time it is.
        primary_host: whether births wait for one.
        compact: whether DATA has aliases instead of names.
        every_s: shortest time between two reports of a number with a deadband.
        resend_s: events as young as this are told again when a link was lost.
    """

    def __init__(
        self,
        node: Iterable[Definition],
        devices: Mapping[str, Iterable[Definition]],
        times: TimeBase,
        *,
        primary_host: bool = False,
        compact: bool = False,
        every_s: float = 1.0,
        resend_s: float = 75.0,
    ) -> None:
        self.phase = Phase.OFFLINE
        self.history = History(resend_s)
        self.host = PrimaryHost()
        self.births = 0  # of the node
        self._times, self._waits_for_host = times, primary_host
        self._values: dict[str | None, Values] = {None: Values(node, every_s)}
        self._values.update((name, Values(all_, every_s)) for name, all_ in devices.items())
        names = {of: list(values.definitions) for of, values in self._values.items()}
        self._aliases = Aliases(names if compact else {})
        self._present = dict.fromkeys(devices, False)
        self._alive: set[str] = set()  # devices whose birth was told
        self._bd_seq = self._seq = 0
        self._birth_asked = False
        self._born_s = float("-inf")
        self._out: list[Message] = []

    def take_messages(self) -> list[Message]:
        """What has to be sent now, in this order."""
        out, self._out = self._out, []
        return out

    def connecting(self, bd_seq: int) -> Message:
        """A CONNECT is about to be sent; returns what has to be its will."""
        self.phase, self._bd_seq, self.host = Phase.CONNECTING, bd_seq, PrimaryHost()
        self._times.take()
        self._birth_asked = False
        return self._death()

    def subscribed(self) -> None:
        """The server has granted the subscriptions."""
        self.phase = Phase.WAITING
        self.turn()

    def host_said(self, payload: bytes) -> None:
        """A STATE message of the primary host has come."""
        if not self.host.hear(payload) or not self._waits_for_host:
            return
        if self.phase is Phase.BORN and not self.host.online:
            self.leave()
        self.turn()

    def leave(self) -> None:
        """Say NDEATH: the connection ends on purpose."""
        if self.phase not in {Phase.OFFLINE, Phase.LEAVING}:
            self._out.append(self._death())
            self.phase = Phase.LEAVING

    def lost(self) -> None:
        """The connection is no more."""
        self.phase = Phase.OFFLINE
        self._alive.clear()
        self._out.clear()
        self.history.lost(self._times.now_s())

    def rebirth(self) -> None:
        """A host asks for all that there is: no DATA from now on until that is told.

        Within a second of a birth it is put off, and DATA goes on: a flood can't hold it up.
        """
        self._birth_asked = True

    def turn(self) -> None:
        """What is due: births, and history after them."""
        waited_for = not self._waits_for_host or self.host.online is True
        again = self._birth_due or self._times.stepped()
        due = {Phase.WAITING: waited_for, Phase.BORN: again}
        if due.get(self.phase, False):
            self._bear()
        elif self.phase is Phase.BORN:
            self._flush()

    def update(
        self, at_s: float, node: Mapping[str, Reading], devices: Mapping[str, DeviceUpdate]
    ) -> None:
        """The node's and its devices' values as of a moment."""
        self._tell(None, self._values[None].update(node, at_s))
        for name, device in devices.items():
            self._tell(name, self._values[name].update(device.readings, at_s))
            self._present[name] = device.present
            if self.phase is Phase.BORN and not self._birth_due:
                self._come_and_go(name)

    def happened(self, at_s: float, device: str, readings: Mapping[str, Reading]) -> None:
        """Something happened on a device."""
        self._tell(device, self._values[device].happened(readings, at_s))

    def metric_name(self, device: str | None, name: str | None, alias: int | None) -> str | None:
        """The name of the metric that a command means; None if there is none such."""
        if name is None and alias is not None:
            name = self._aliases.name(device, alias)
        known = self._values[device].definitions if device in self._values else {}
        return name if name in known or (device is None and name == REBIRTH) else None

    @property
    def _birth_due(self) -> bool:
        return self._birth_asked and self._times.now_s() - self._born_s >= REBIRTH_EVERY_S

    def _come_and_go(self, name: str) -> None:
        if self._present[name] and name not in self._alive:
            self._bear_device(name)
        elif not self._present[name] and name in self._alive:
            self._alive.discard(name)
            self._say(MessageType.DDEATH, name, [])

    def _bear(self) -> None:
        """NBIRTH and every DBIRTH, with nothing between them."""
        self._birth_asked, self.phase = False, Phase.BORN
        self.births += 1
        self._times.take()
        self._seq = 0
        now_s = self._born_s = self._times.now_s()
        own = [Change(now_s, BD_SEQ_DEFINITION, Reading(self._bd_seq)),
               Change(now_s, REBIRTH_DEFINITION, Reading(value=False))]  # fmt: skip
        everything = [*self._values[None].all(now_s), *own]
        self._say(MessageType.NBIRTH, None, sorted(everything, key=lambda change: change.at_s))
        self._alive.clear()
        for name, present in self._present.items():
            if present:
                self._bear_device(name)

    def _bear_device(self, name: str) -> None:
        self._alive.add(name)
        self._say(MessageType.DBIRTH, name, self._values[name].all(self._times.now_s()))

    def _tell(self, device: str | None, changes: list[Change]) -> None:
        records = [self.history.record(c.at_s, device, c.definition, c.reading) for c in changes]
        if not records:
            return
        if self._may_tell(device, changes[0].at_s):
            self._say(_data(device), device, changes)
            self.history.sent(self._times.now_s(), records)
        else:
            self.history.keep(records)

    def _may_tell(self, device: str | None, at_s: float) -> bool:
        """Whether a change goes out now: it is later than the birth, and none is due."""
        told = self.phase is Phase.BORN and not self._birth_due and at_s >= self._born_s
        return told and device in {None, *self._alive} and not self._times.stepped()

    def _flush(self) -> None:
        for _ in range(MESSAGES_A_TURN):
            records = self.history.take({None, *self._alive}, FLUSHED_AT_ONCE)
            if not records:
                return
            device = records[0].device
            changes = [Change(r.at_s, r.definition, r.reading) for r in records]
            self._say(_data(device), device, changes, is_historical=True)
            self.history.sent(self._times.now_s(), records)

    def _say(
        self,
        type_: MessageType,
        device: str | None,
        changes: list[Change],
        *,
        is_historical: bool = False,
    ) -> None:
        metrics = tuple(
            Metric(
                definition=change.definition,
                reading=change.reading,
                timestamp_ms=self._times.ms(change.at_s),
                is_historical=is_historical,
                alias=self._aliases.number(device, change.definition.name),
            )
            for change in changes
        )
        self._out.append(
            Message(type=type_, device=device, metrics=metrics, seq=self._seq,
                    timestamp_ms=self._times.ms(self._times.now_s()))
        )  # fmt: skip
        self._seq = (self._seq + 1) % SEQ_MODULUS

    def _death(self) -> Message:
        """The birth/death sequence number and nothing else; with a seq, hosts refuse it."""
        now_ms = self._times.ms(self._times.now_s())
        metric = Metric(
            definition=BD_SEQ_DEFINITION, reading=Reading(self._bd_seq), timestamp_ms=now_ms
        )
        return Message(
            type=MessageType.NDEATH, device=None, metrics=(metric,), seq=None, timestamp_ms=now_ms
        )


def _data(device: str | None) -> MessageType:
    return MessageType.NDATA if device is None else MessageType.DDATA
