"""The broker and the topics, as a configuration or a command line says them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edge.errors import SettingsError
from edge.section import CONTROLS, PathText, Section
from edge.words import printable

if TYPE_CHECKING:
    from pathlib import Path

LEVEL = rf"[^#+/{CONTROLS}]+"  # of a topic
Prefix = Annotated[str, Meta(pattern=rf"^{LEVEL}(/{LEVEL})*\Z", max_length=512)]
UserName = Annotated[str, Meta(pattern=rf"^[^{CONTROLS}]+\Z", max_length=256)]
ProtocolName = Literal["auto", "5", "3.1.1"]
PATH_KEYS = ("password_file", "ca_file", "cert_file", "key_file")


class BrokerSettings(Section, frozen=True):
    """How to reach and to convince a broker. Holds no password, only where it is."""

    url: Annotated[str, Meta(max_length=512)] = "mqtt://127.0.0.1:1883"
    username: UserName | None = None
    password_file: PathText | None = None  # one line; read at every connection
    ca_file: PathText | None = None  # PEM; without it the system's authorities are trusted
    cert_file: PathText | None = None  # PEM, of this client; with its key, or with key_file
    key_file: PathText | None = None  # PEM, not encrypted
    protocol: ProtocolName = "auto"  # MQTT version; "auto" falls back from 5 to 3.1.1
    keepalive_s: Annotated[int, Meta(ge=5, le=3_600)] = 30  # a dead link is noticed after twice it

    @property
    def address(self) -> BrokerAddress:
        """Scheme, host and port of `url`."""
        return broker_address(self.url)


class MqttSettings(BrokerSettings, frozen=True):
    """[mqtt]."""

    topic_prefix: Prefix = "earpatch"
    drain_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # wait for the broker when sound ends
    # what waited while the broker was away; 50 events of 700 bytes are 35 kB/s
    backlog_rate_per_s: Annotated[float, Meta(ge=0.1, le=10_000)] = 50.0


class BrokerAddress(msgspec.Struct, frozen=True):
    """Where the broker listens."""

    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"


DEFAULT_PORTS = {"mqtt": 1883, "mqtts": 8883}


def broker_address(url: str) -> BrokerAddress:
    """Host and port of an `mqtt://` or `mqtts://` URL.

    Raises:
        SettingsError: another scheme, no possible host, a port out of range, or a password, which
            is not repeated.
    """
    example = "write it like mqtt://192.168.1.10:1883 or mqtts://broker.example:8883"
    if "@" in url:
        raise SettingsError(
            "mqtt.url can't hold a user name or a password; there are mqtt.username and "
            f"mqtt.password_file; {example}"
        )
    try:
        parts = urlsplit(url)
        port = DEFAULT_PORTS.get(parts.scheme) if parts.port is None else parts.port
        host = parts.hostname or ""
        host.encode("idna")
    except (ValueError, UnicodeError) as error:
        raise SettingsError(f"mqtt.url {url!r}: {error}; {example}") from None
    more = parts.path not in {"", "/"} or parts.query or parts.fragment
    known = parts.scheme in DEFAULT_PORTS
    if not known or not host.strip(".") or not port or more or " " in host:
        raise SettingsError(f"mqtt.url {url!r}: not a broker's address; {example}")
    return BrokerAddress(host, port, tls=parts.scheme == "mqtts")


def check_broker(settings: BrokerSettings) -> None:
    """Keys that only make sense together.

    Raises:
        SettingsError: one of them is missing, or `url` is no address.
    """
    address = broker_address(settings.url)
    if settings.password_file and not settings.username:
        raise SettingsError("mqtt.password_file needs mqtt.username")
    if settings.key_file and not settings.cert_file:
        raise SettingsError("mqtt.key_file needs mqtt.cert_file")
    for key in ("ca_file", "cert_file"):
        if getattr(settings, key) and not address.tls:
            raise SettingsError(f"mqtt.{key} needs TLS: write mqtts:// in mqtt.url")


def broker_settings(
    url: str, username: str | None, password_file: Path | None, ca_file: Path | None
) -> BrokerSettings:
    """Settings from a command line.

    Raises:
        SettingsError: they make no sense.
    """
    given = {"username": username, "password_file": password_file, "ca_file": ca_file}
    texts = {key: str(value) for key, value in given.items() if value is not None}
    try:
        settings = msgspec.convert({"url": url, **texts}, BrokerSettings)
    except msgspec.ValidationError as error:
        raise SettingsError(printable(str(error))) from None
    check_broker(settings)
    return settings


def with_absolute_paths(settings: MqttSettings, base: Path) -> MqttSettings:
    """Relative paths of files are relative to `base`."""
    paths = {key: str(base / path) for key in PATH_KEYS if (path := getattr(settings, key))}
    return msgspec.structs.replace(settings, **paths)


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
