"""The topic namespace: `spBv1.0/<group>/<message type>/<edge node>[/<device>]`."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

NAMESPACE = "spBv1.0"
NODE_LEVELS, DEVICE_LEVELS = 4, 5


class MessageType(str, Enum):
    """What a message is."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    NDATA = "NDATA"
    NCMD = "NCMD"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    DDATA = "DDATA"
    DCMD = "DCMD"

    @property
    def is_birth(self) -> bool:
        """Whether it says all that there is to know."""
        return self in {MessageType.NBIRTH, MessageType.DBIRTH}

    @property
    def of_device(self) -> bool:
        """Whether its topic ends with a device."""
        return self.value.startswith("D")


class Address(NamedTuple):
    """A message's topic, read."""

    group: str
    type: MessageType
    edge_node: str
    device: str | None


def topic_of(address: Address) -> str:
    """The topic of a message."""
    levels = [NAMESPACE, address.group, address.type.value, address.edge_node]
    return "/".join(levels if address.device is None else [*levels, address.device])


def state_topic(host: str) -> str:
    """Where a host application says whether it is there."""
    return f"{NAMESPACE}/STATE/{host}"


class Namespace(NamedTuple):
    """The topics of one edge node."""

    group: str
    edge_node: str
    primary_host: str | None

    @property
    def state(self) -> str | None:
        """Where the primary host says whether it is there; None if there is none."""
        return None if self.primary_host is None else state_topic(self.primary_host)

    def topic(self, type_: MessageType, device: str | None) -> str:
        """Where the node says something."""
        return topic_of(Address(self.group, type_, self.edge_node, device))

    def subscriptions(self) -> list[str]:
        """Commands to the node and to all its devices, and the primary host's state."""
        commands = [self.topic(MessageType.NCMD, None), self.topic(MessageType.DCMD, "+")]
        return commands if self.state is None else [*commands, self.state]


def parse(topic: str) -> Address | None:
    """What a topic says; None if it is not one of an edge node's or a device's."""
    levels = topic.split("/")
    if len(levels) not in {NODE_LEVELS, DEVICE_LEVELS} or levels[0] != NAMESPACE:
        return None
    group, name, edge_node = levels[1:4]
    if name not in MessageType.__members__:
        return None
    kind = MessageType(name)
    if kind.of_device != (len(levels) == DEVICE_LEVELS):
        return None
    return Address(group, kind, edge_node, levels[4] if kind.of_device else None)
