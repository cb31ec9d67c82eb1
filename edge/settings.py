"""The node's configuration: TOML into frozen, validated settings."""

from __future__ import annotations

import difflib
import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edge.capture.settings import RecordingSource, StdinSource
from edge.delivery.records import OutboxLimits
from edge.delivery.settings import MqttSettings, check_broker, with_absolute_paths
from edge.errors import SettingsError
from edge.runtime import RuntimeName
from edge.section import Name, PathText, Section
from edge.words import printable

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NodeSettings(Section, frozen=True):
    """[node]."""

    id: Name  # letters, digits, '.', '_' and '-': it becomes a level of the MQTT topic
    state_dir: PathText = "/var/lib/earpatch"  # events wait here until the broker has them


class BundleSettings(Section, frozen=True):
    """[bundle]."""

    path: PathText
    runtime: RuntimeName = "auto"


class EventSettings(Section, frozen=True):
    """[events]: how long something must last to be an event, and be over to end it."""

    on_delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.0
    off_delay_s: Annotated[float, Meta(ge=0, le=60)] = 0.32


class Settings(Section, frozen=True):
    """A whole configuration file."""

    node: NodeSettings
    bundle: BundleSettings
    source: RecordingSource | StdinSource
    mqtt: MqttSettings = MqttSettings()
    outbox: OutboxLimits = OutboxLimits()
    events: EventSettings = EventSettings()


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
        check_broker(settings.mqtt)
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
        mqtt=with_absolute_paths(settings.mqtt, base),
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
        "outbox": OutboxLimits,
        "events": EventSettings,
        "source": sources.get(kind, RecordingSource),
    }
    yield from sections[section].__struct_fields__ if section in sections else ()
