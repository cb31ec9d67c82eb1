"""Slow evidence: 100,000 spoilt configurations; each is refused in one clear line, or means itself.

What is accepted holds exactly what the file says, and the defaults for all that it doesn't say; and
everything that a node makes of it can be made.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from random import Random
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from edge.alarms.alarm import Alarm
from edge.clock import Clock
from edge.delivery.client import Identity
from edge.delivery.connection import Connection
from edge.delivery.home_assistant import discovery
from edge.errors import EarpatchError, SettingsError
from edge.inputs import Input
from edge.settings import Settings, load_settings
from edge.sparkplug.edge_node import SparkplugNode
from tests.slow.configurations import complete, real, spoilt, text_of
from tests.slow.damage import changes, tell

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.bundle import Bundle
    from tests.conftest import Site

pytestmark = pytest.mark.fuzz

EACH = {"by structure": 60_000, "by byte": 40_000}
SAMPLE = 40  # of each kind, by a process of its own
LONGEST_LINE = 1_000
PATHS = {"path", "state_dir", "password_file", "ca_file", "cert_file", "key_file"}


def texts(kind: str) -> Iterator[bytes]:
    """Spoilt configurations, the same ones at every run."""
    originals = [*real(), *complete()]
    share = -(-EACH[kind] // len(originals))
    random = Random(len(kind))
    for seed, content in enumerate(originals):
        if kind == "by byte":
            yield from changes(text_of(content).encode(), share, seed)
            continue
        for _ in range(share):
            yield text_of(spoilt(content, random)).encode()


def unlike(found: Any, said: Any, base: Path, key: str = "") -> str | None:
    """Where settings are something else than a file says; None if they are the same."""
    if isinstance(found, msgspec.Struct):
        fields = {field.name: field for field in msgspec.structs.fields(found)}
        if unread := set(said) - set(fields) - {"kind"}:
            return f"{key}: {unread} was not read"
        below = (
            unlike(getattr(found, name), said[name], base, f"{key}.{name}")
            if name in said
            else _not_default(getattr(found, name), field, f"{key}.{name}")
            for name, field in fields.items()
        )
        return next(filter(None, below), None)
    if isinstance(found, tuple):
        pairs = zip(found, said, strict=True)
        return next(filter(None, (unlike(*pair, base, f"{key}[]") for pair in pairs)), None)
    if key.rpartition(".")[2] in PATHS:
        said = str(base / said)
    same = found == said and isinstance(found, bool) == isinstance(said, bool)
    return None if same else f"{key}: {found!r}, not {said!r}"


def _not_default(found: Any, field: msgspec.structs.FieldInfo, key: str) -> str | None:
    return None if found == field.default else f"{key}: {found!r}, and the file doesn't say so"


def make_parts(settings: Settings, bundle: Bundle, folder: Path) -> None:
    """What a node makes of settings before it listens or connects; nothing is written."""
    names = [each.name for each in settings.all_inputs()]
    for each in settings.all_inputs():
        Input(each, settings.liveness, settings.events, bundle=bundle)
    Connection(settings.mqtt, Identity(f"earpatch-{settings.node.id}"))
    Alarm(settings.alarm, 0.0)
    discovery(settings.mqtt.topic_prefix, settings.node.id, names, "device")
    if settings.sparkplug.enabled:
        SparkplugNode(settings.sparkplug, settings.mqtt, settings.node.id, names, folder, Clock())


def outcome(path: Path, bundle: Bundle, folder: Path) -> str:
    """What becomes of one configuration."""
    try:
        settings = load_settings(path)
    except SettingsError as error:
        return "refused" if is_clear(str(error), path) else f"BADLY TOLD: {str(error)[:2_000]!r}"
    said = tomllib.loads(path.read_text("utf-8"))
    if wrong := unlike(settings, said, path.parent):
        return f"WRONGLY READ: {wrong[:300]}"
    try:
        make_parts(settings, bundle, folder)
    except EarpatchError as error:  # a recording or a certificate that isn't there
        return "its files are missing" if str(error).isprintable() else f"BADLY TOLD: {error}"
    return "settings"


def is_clear(text: str, path: Path) -> bool:
    """One line of decent length that begins with the file."""
    return text.startswith(f"{path}: ") and text.isprintable() and len(text) <= LONGEST_LINE


@pytest.mark.parametrize("kind", EACH)
def test_spoilt_configurations_are_refused_in_one_clear_line_or_mean_what_they_say(
    site: Site, tmp_path: Path, kind: str
) -> None:
    """A07."""
    path, bundle = tmp_path / "node.toml", site.open()
    outcomes = Counter[str]()
    for text in texts(kind):
        path.write_bytes(text)
        outcomes[outcome(path, bundle, tmp_path)] += 1
    tell(f"configuration, {kind}", outcomes)
    assert set(outcomes) <= {"refused", "settings", "its files are missing"}
    assert outcomes["settings"] > 0
    assert outcomes["refused"] > EACH[kind] / 4


@pytest.mark.parametrize("kind", EACH)
def test_the_command_says_the_same_and_never_shows_a_traceback(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "node.toml"
    every = EACH[kind] // SAMPLE
    outcomes = Counter[str]()
    for number, text in enumerate(texts(kind)):
        if number % every:
            continue
        path.write_bytes(text)
        done = subprocess.run(
            [sys.executable, "-m", "convert.main", "run", "--check", "--config", str(path)],
            capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip
        outcomes[f"exit code {done.returncode}"] += 1
        assert done.returncode == SettingsError.exit_code, done.stderr  # no bundle is there
        assert done.stderr.startswith("earpatch: ")
        assert done.stderr.count("\n") == 1
    tell(f"configuration, {kind}, by the command", outcomes)


def test_every_section_and_key_is_among_them() -> None:
    keys = {field.name for field in msgspec.structs.fields(Settings)}
    contents = complete()
    assert {name for content in contents for name in content} == keys
    for content in contents:
        for name, section in content.items():
            if isinstance(section, dict) and name != "source":
                known = msgspec.structs.fields(getattr(_settings(content), name))
                assert set(section) == {field.name for field in known}, name


def _settings(content: dict[str, Any]) -> Settings:
    return msgspec.convert(content, Settings)


def test_what_is_spoilt_was_good(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    for content in [*real(), *complete()]:
        path.write_text(text_of(content), "utf-8")
        assert outcome(path, site.open(), tmp_path) in {"settings", "its files are missing"}


def test_these_are_a_hundred_thousand() -> None:
    assert sum(EACH.values()) >= 100_000
