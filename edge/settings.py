"""The node's configuration: TOML into frozen, validated settings."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edge.alarms.settings import AlarmSettings
from edge.capture.identity import parse_identity
from edge.capture.settings import (
    LevelRule,
    LivenessSettings,
    MicrophoneSource,
    RecordingSource,
    StdinSource,
)
from edge.clips.settings import ClipSettings
from edge.delivery.home_assistant import HomeAssistantSettings
from edge.delivery.records import OutboxLimits
from edge.delivery.settings import MqttSettings, check_broker, with_absolute_paths
from edge.errors import SettingsError
from edge.explained import explained
from edge.remote import CommandSettings
from edge.runtime import RuntimeName
from edge.section import Name, PathText, Section
from edge.sparkplug.settings import SparkplugSettings
from edge.words import printable, shortened

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


AnySource = RecordingSource | StdinSource | MicrophoneSource
ONLY_INPUT = "main"  # the name of an input that has none


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


class InputSettings(Section, frozen=True):
    """[[inputs]]: one of several microphones, with the bundle that knows its machine."""

    name: Name
    source: AnySource
    bundle: BundleSettings
    level: tuple[LevelRule, ...] = ()


class Settings(Section, frozen=True):
    """A whole configuration file: one input by itself, or several under [[inputs]]."""

    node: NodeSettings
    bundle: BundleSettings | None = None
    source: AnySource | None = None
    level: tuple[LevelRule, ...] = ()
    inputs: tuple[InputSettings, ...] = ()
    liveness: LivenessSettings = LivenessSettings()
    mqtt: MqttSettings = MqttSettings()
    sparkplug: SparkplugSettings = SparkplugSettings()
    outbox: OutboxLimits = OutboxLimits()
    events: EventSettings = EventSettings()
    alarm: AlarmSettings = AlarmSettings()
    commands: CommandSettings = CommandSettings()
    homeassistant: HomeAssistantSettings = HomeAssistantSettings()
    clips: ClipSettings = ClipSettings()

    def all_inputs(self) -> tuple[InputSettings, ...]:
        """The inputs, however they were written.

        Raises:
            SettingsError: none, both ways at once, or one name twice.
        """
        single = self.source is not None or self.bundle is not None or bool(self.level)
        if self.inputs and single:
            raise SettingsError("either [source], [bundle] and [[level]], or [[inputs]], not both")
        names = [i.name for i in self.inputs]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise SettingsError(f"[[inputs]]: the name {twice[0]!r} is there twice")
        if self.inputs:
            return self.inputs
        if self.source is None or self.bundle is None:
            missing = "source" if self.source is None else "bundle"
            raise SettingsError(f"[{missing}] is missing; or write [[inputs]] for several")
        return (
            InputSettings(
                name=ONLY_INPUT, source=self.source, bundle=self.bundle, level=self.level
            ),
        )


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
        _check_inputs(settings)
        if settings.sparkplug.enabled:
            names = [each.name for each in settings.all_inputs()]
            settings.sparkplug.check(settings.mqtt, names)
    except msgspec.ValidationError as error:
        reason = shortened(printable(explained(str(error), raw, _known_keys)))
        raise SettingsError(f"{path}: {reason}") from None
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None
    return _with_absolute_paths(settings, path.parent)


def _one_line(error: Exception) -> str:
    return shortened(printable(next(iter(str(error).splitlines()), type(error).__name__)))


def _check_inputs(settings: Settings) -> None:
    """What msgspec can't see: names of microphones and bands that are none."""
    for each in settings.all_inputs():
        if isinstance(each.source, MicrophoneSource):
            parse_identity(each.source.device)
        for rule in each.level:
            if rule.high_hz and rule.high_hz <= rule.low_hz:
                raise SettingsError(
                    f"level {rule.name!r}: high_hz {rule.high_hz:g} is not above low_hz "
                    f"{rule.low_hz:g}"
                )


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    replace = msgspec.structs.replace

    def bundle(found: BundleSettings) -> BundleSettings:
        return replace(found, path=str(base / found.path))

    def source(found: AnySource) -> AnySource:
        if isinstance(found, RecordingSource):
            return replace(found, path=str(base / found.path))
        return found

    return replace(
        settings,
        node=replace(settings.node, state_dir=str(base / settings.node.state_dir)),
        bundle=settings.bundle and bundle(settings.bundle),
        source=settings.source and source(settings.source),
        inputs=tuple(
            replace(each, bundle=bundle(each.bundle), source=source(each.source))
            for each in settings.inputs
        ),
        mqtt=with_absolute_paths(settings.mqtt, base),
    )


def _known_keys(section: str, raw: dict[str, Any]) -> Iterator[str]:
    sources = {"file": RecordingSource, "stdin": StdinSource, "microphone": MicrophoneSource}
    found: Any = raw
    for key in re.findall(r"[A-Za-z_]+|[0-9]+", section):
        found = found[int(key)] if key.isdecimal() else found.get(key)
    kind = str(found.get("kind")) if isinstance(found, dict) else "file"
    sections: dict[str, Any] = {
        "": Settings,
        "node": NodeSettings,
        "bundle": BundleSettings,
        "mqtt": MqttSettings,
        "sparkplug": SparkplugSettings,
        "events": EventSettings,
        "clips": ClipSettings,
        "liveness": LivenessSettings,
        "alarm": AlarmSettings,
        "commands": CommandSettings,
        "homeassistant": HomeAssistantSettings,
        "outbox": OutboxLimits,
        "level": LevelRule,
        "inputs": InputSettings,
        "source": sources.get(kind, RecordingSource),
    }
    last = re.sub(r"\[[^]]*\]", "", section).rpartition(".")[2]
    yield from sections[last].__struct_fields__ if last in sections else ()
