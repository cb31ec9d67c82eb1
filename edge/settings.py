"""The node's configuration: TOML into frozen, validated settings."""

from __future__ import annotations

import difflib
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from edge.errors import SettingsError
from edge.messages import printable
from edge.runtime import RuntimeName

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]+\Z", max_length=64)]
PathText = Annotated[str, Meta(pattern=r"^[^\x00]+\Z", max_length=4_096)]
Prefix = Annotated[str, Meta(pattern=r"^[^#+/\x00-\x1f]+(/[^#+/\x00-\x1f]+)*\Z", max_length=512)]
Rate = Annotated[int, Meta(ge=4_000, le=384_000)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Unknown keys are errors in every section."""


class NodeSettings(_Section, frozen=True):
    """[node]."""

    id: Name  # letters, digits, '.', '_' and '-': it becomes a level of the MQTT topic
    state_dir: PathText = "/var/lib/earpatch"  # events wait here until the broker has them


class BundleSettings(_Section, frozen=True):
    """[bundle]."""

    path: PathText
    runtime: RuntimeName = "auto"


class RecordingSource(_Section, frozen=True, tag="file", tag_field="kind"):
    """[source] kind = "file": a recording, at real speed or as fast as it goes."""

    path: PathText
    realtime: bool = False


class StdinSource(_Section, frozen=True, tag="stdin", tag_field="kind"):
    """[source] kind = "stdin": raw interleaved PCM, as `arecord -t raw` writes it."""

    rate_hz: Rate
    channels: Annotated[int, Meta(ge=1, le=64)] = 1
    encoding: Literal["s16le", "s32le", "f32le"] = "s16le"


class MqttSettings(_Section, frozen=True):
    """[mqtt]."""

    url: Annotated[str, Meta(max_length=512)] = "mqtt://127.0.0.1:1883"
    topic_prefix: Prefix = "earpatch"
    drain_s: Annotated[float, Meta(ge=0, le=3600)] = 10.0  # wait for the broker when sound ends

    @property
    def address(self) -> BrokerAddress:
        """Host and port of `url`."""
        return broker_address(self.url)


class EventSettings(_Section, frozen=True):
    """[events]: how long something must last to be an event, and be over to end it."""

    on_delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    off_delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.32


class Settings(_Section, frozen=True):
    """A whole configuration file."""

    node: NodeSettings
    bundle: BundleSettings
    source: RecordingSource | StdinSource
    mqtt: MqttSettings = MqttSettings()
    events: EventSettings = EventSettings()


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


def load_settings(path: Path) -> Settings:
    """Read a configuration file. Relative paths in it are relative to the file.

    Raises:
        SettingsError: missing, not TOML, an unknown key, a wrong type or a value out of range.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror})") from None
    except (
        ValueError,
        RecursionError,
    ) as error:  # TOMLDecodeError and UnicodeDecodeError among them
        raise SettingsError(f"{path}: not TOML: {_one_line(error)}") from None
    try:
        settings = msgspec.convert(raw, Settings)
        broker_address(settings.mqtt.url)
    except msgspec.ValidationError as error:
        raise SettingsError(f"{path}: {printable(_explain(str(error), raw))}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return _with_absolute_paths(settings, path.parent)


def _one_line(error: Exception) -> str:
    return printable(next(iter(str(error).splitlines()), type(error).__name__))


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    replace = msgspec.structs.replace
    source = settings.source
    if isinstance(source, RecordingSource):
        source = replace(source, path=str(base / source.path))
    return replace(
        settings,
        node=replace(settings.node, state_dir=str(base / settings.node.state_dir)),
        bundle=replace(settings.bundle, path=str(base / settings.bundle.path)),
        source=source,
    )


_MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<where>[^`]*)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"^Object contains unknown field `(?P<key>[^`]*)`$")


def _explain(message: str, raw: dict[str, Any]) -> str:
    """Msgspec's message with the key in front, and the nearest known key for a typo."""
    match = _MESSAGE.match(message)
    what, where = (match["what"], match["where"] or "") if match else (message, "")
    if unknown := _UNKNOWN.match(what):
        key = unknown["key"]
        close = difflib.get_close_matches(key, _known_keys(where, raw), n=1)
        hint = f"; did you mean '{close[0]}'?" if close else ""
        section = f"[{where}]" if where else "the file"
        return f"unknown key '{key}' in {section}{hint}"
    return f"{where or 'the file'}: {what[:1].lower()}{what[1:]}"


def _known_keys(section: str, raw: dict[str, Any]) -> Iterator[str]:
    sources = {"file": RecordingSource, "stdin": StdinSource}
    source = raw.get("source")
    kind = str(source.get("kind")) if isinstance(source, dict) else "file"
    sections: dict[str, Any] = {
        "": Settings,
        "node": NodeSettings,
        "bundle": BundleSettings,
        "mqtt": MqttSettings,
        "events": EventSettings,
        "source": sources.get(kind, RecordingSource),
    }
    yield from sections[section].__struct_fields__ if section in sections else ()
