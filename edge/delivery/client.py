"""A paho client for one connection, set up from the settings."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import msgspec
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edge.delivery.credentials import password, tls_context
from edge.delivery.topics import OFFLINE

if TYPE_CHECKING:
    from edge.delivery.settings import BrokerSettings

CONNECT_TIMEOUT_S = 10.0  # for TCP, for TLS and for the answer to CONNECT, each
MAX_INCOMING_BYTES = 262_144  # commands are small; asked of the broker where it is MQTT 5


class Identity(msgspec.Struct, frozen=True):
    """Who connects, and where it tells that it is there."""

    client_id: str
    availability: str | None = None  # topic; None: no will and no greeting


def make_client(settings: BrokerSettings, identity: Identity, protocol: Any) -> paho.Client:
    """A client that connects when its `reconnect` is called, and never by itself.

    Raises:
        SettingsError: a certificate, key or password can't be read.
    """
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        identity.client_id,
        protocol=protocol,
        reconnect_on_failure=False,
    )
    if settings.username is not None:
        client.username_pw_set(settings.username, password(settings))
    if settings.address.tls:
        client.tls_set_context(tls_context(settings))
    if identity.availability is not None:
        client.will_set(identity.availability, OFFLINE, qos=1, retain=True)
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.max_inflight_messages = 0  # the publisher counts
    client.suppress_exceptions = True  # no callback ends the thread
    # With it, publish() leaves the writing to the loop: two writers would mix up packets.
    client.on_socket_register_write = lambda *_: None
    client.on_socket_open = _bound_buffer
    asked = None
    if protocol == paho.MQTTv5:
        asked = properties(PacketTypes.CONNECT)
        asked.MaximumPacketSize = MAX_INCOMING_BYTES
    address = settings.address
    client.connect_async(address.host, address.port, settings.keepalive_s, properties=asked)
    return client


def _bound_buffer(_client: Any, _data: Any, link: Any) -> None:
    """A turn of the loop reads 100 times: no more than 50 MB come before `oversized` is asked."""
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, MAX_INCOMING_BYTES)


def oversized(client: paho.Client) -> int | None:
    """Size of the packet that is coming in, in bytes, if that is more than is taken.

    With MQTT 3.1.1 nobody can be asked for small ones, and paho would read 256 MiB into memory. How
    large a packet will be is known to its private state alone, before it has come.
    """
    coming_bytes = client._in_packet["remaining_length"]  # noqa: SLF001
    return coming_bytes if coming_bytes > MAX_INCOMING_BYTES else None


def properties(packet_type: int) -> Any:
    """MQTT 5's properties of one kind of packet, none set."""
    return Properties(packet_type)  # type: ignore[no-untyped-call]
