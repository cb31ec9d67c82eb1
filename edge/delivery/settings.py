"""The broker and the topics, as a configuration or a command line says them."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edge.errors import SettingsError
from edge.section import Section

Prefix = Annotated[str, Meta(pattern=r"^[^#+/\x00-\x1f]+(/[^#+/\x00-\x1f]+)*\Z", max_length=512)]


class MqttSettings(Section, frozen=True):
    """[mqtt]."""

    url: Annotated[str, Meta(max_length=512)] = "mqtt://127.0.0.1:1883"
    topic_prefix: Prefix = "earpatch"
    drain_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # wait for the broker when sound ends

    @property
    def address(self) -> BrokerAddress:
        """Host and port of `url`."""
        return broker_address(self.url)


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where the broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"mqtt://{host}:{self.port}"


DEFAULT_MQTT_PORT = 1883


def broker_address(url: str) -> BrokerAddress:
    """Host and port of an `mqtt://` URL.

    Raises:
        SettingsError: another scheme, no possible host, a port out of range, or a password, which
            is not repeated.
    """
    example = "write it like mqtt://192.168.1.10:1883"
    if "@" in url:
        raise SettingsError(f"mqtt.url can't hold a user name or a password yet; {example}")
    try:
        parts = urlsplit(url)
        port = DEFAULT_MQTT_PORT if parts.port is None else parts.port
        host = parts.hostname or ""
        host.encode("idna")
    except (ValueError, UnicodeError) as error:
        raise SettingsError(f"mqtt.url {url!r}: {error}; {example}") from None
    more = parts.path not in {"", "/"} or parts.query or parts.fragment
    if parts.scheme != "mqtt" or not host.strip(".") or port == 0 or more or " " in host:
        raise SettingsError(f"mqtt.url {url!r}: not a broker's address; {example}")
    return BrokerAddress(host, port)


def topic_prefix(text: str) -> str:
    """A topic prefix from a command line.

    Raises:
        SettingsError: empty, too long, or with wildcards.
    """
    try:
        return msgspec.convert(text, Prefix)
    except msgspec.ValidationError:
        raise SettingsError(
            f"topic {text!r}: not a prefix like site/area/line (no '#', no '+', no empty level)"
        ) from None
