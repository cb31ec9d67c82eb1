"""The configuration that setup writes: commented, whole or not at all, and nothing is lost.

What setup asks about stands in four sections. Their other keys are kept, and every other section is
kept as it was written, comments and all.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from calibration.setup.answers import SetupError
from edge.errors import SettingsError
from edge.settings import load_settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from calibration.setup.answers import Answers

STATE, OWN = Path("/var/lib/earpatch"), "earpatch"
SECTIONS = ("node", "source", "bundle", "mqtt")
HEAD = """\
# Written by `earpatch setup`; it may be run again, and what you add here stays.
# Every key is explained in /usr/share/doc/earpatch/configuration.md
# Is it good?  earpatch run --check --config FILE      Take it up:  systemctl reload earpatch
"""
COMMENTS = {
    ("node", "id"): "a part of every message; unique on the broker",
    ("node", "state_dir"): "events wait here until the broker has them",
    ("source", "device"): "`earpatch devices` prints this line",
    ("bundle", "path"): "what `earpatch calibrate` has learnt",
    ("mqtt", "url"): "mqtts:// with TLS",
    ("mqtt", "topic_prefix"): "events go to <prefix>/<node>/event",
    ("mqtt", "username"): "its password stands in a file of its own",
    ("mqtt", "ca_file"): "who vouches for the broker",
}
_HEADER = re.compile(r"\s*\[\[?\s*([A-Za-z0-9_-]+)[^\]]*\]\]?\s*(#.*)?\Z")


def read_raw(path: Path) -> dict[str, Any]:
    """A configuration as TOML has it; empty if there is none.

    Raises:
        SettingsError: it can't be read, or isn't TOML.
        SetupError: it has several inputs, which setup can't ask about.
    """
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise SettingsError(f"{path}: can't be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        load_settings(path)  # says what is wrong with it
        raise
    if "inputs" in raw:
        raise SetupError(f"{path}: has several [[inputs]]; setup knows one. Please edit it by hand")
    if wrong := [key for key in SECTIONS if not isinstance(raw.get(key, {}), dict)]:
        raise SettingsError(f"{path}: {wrong[0]} is no section")
    return raw


def state_folder(config: Path) -> Path:
    """Where the node of a configuration keeps its state: `earpatch@NAME` has its own folder."""
    return STATE if config.stem == OWN else STATE / config.stem


def configuration(answers: Answers, before: str, state: Path) -> str:
    """The text of a configuration.

    Args:
        answers: what setup was told.
        before: the configuration that there is; may be empty.
        state: the node's folder, unless it has another one already.

    Raises:
        SetupError: what stands in `before` can't be kept.
    """
    raw = tomllib.loads(before)
    sections = {
        "node": {"state_dir": str(state), **raw.get("node", {}), "id": answers.node},
        "source": {**_microphone(raw.get("source", {})), "device": answers.device},
        "bundle": {"path": str(state / "bundle"), **raw.get("bundle", {})},
        "mqtt": {**raw.get("mqtt", {}), **_broker(answers)},
    }
    parts = [HEAD]
    parts += [_section(name, _clean(keys)) for name, keys in sections.items()]
    if rest := _rest(before):
        parts.append(rest)
    text = "\n".join(parts)
    if not _keeps(text, raw):
        raise SetupError(
            "the configuration is written in a way that setup can't keep; please edit it by hand"
        )
    return text


def write_configuration(text: str, path: Path) -> None:
    """Replace a configuration in one step; the one before stays beside it as `NAME.toml.before`.

    Raises:
        SettingsError: it would not be a good one.
        OSError: it can't be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    try:
        _write(fresh, text, mode=0o640)
        try:
            load_settings(fresh)
        except SettingsError as error:
            raise SettingsError(str(error).replace(str(fresh), str(path))) from None
        if path.exists():
            _copy_beside(path)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_password(password: str, path: Path) -> None:
    """A file that only its owner can read; systemd hands it to the node.

    Raises:
        OSError: it can't be written.
    """
    fresh = path.with_name(f"{path.name}.new")
    _write(fresh, f"{password}\n", mode=0o600)
    fresh.replace(path)
    _sync_folder(path.parent)


def _microphone(before: dict[str, Any]) -> dict[str, Any]:
    """Its rate, its channel and so on; what belongs to a recording or a pipe goes."""
    return before if before.get("kind") == "microphone" else {"kind": "microphone"}


def _broker(answers: Answers) -> dict[str, Any]:
    keys = ("url", "topic_prefix", "username", "password_file", "ca_file")
    return {key: getattr(answers, key) for key in keys}


def _clean(keys: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if value is not None}


def _section(name: str, keys: dict[str, Any]) -> str:
    lines = [f"[{name}]"]
    for key, value in keys.items():
        comment = COMMENTS.get((name, key))
        line = f"{key} = {_value(value)}"
        lines.append(f"{line:<40}  # {comment}" if comment else line)
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """JSON's texts, numbers, truth values and lists are TOML's, but for one control character."""
    if isinstance(value, dict):
        raise SetupError("a section within a section can't be kept by setup; please edit by hand")
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _rest(text: str) -> str:
    """The sections that setup doesn't write, as they stand."""
    kept: list[str] = []
    keep = False  # what stands before the first header is a comment of ours
    for line in text.splitlines():
        if found := _HEADER.match(line):
            keep = found[1] not in SECTIONS
        if keep:
            kept.append(line)
    return "\n".join(kept).rstrip() + "\n" if kept else ""


def _keeps(text: str, raw: dict[str, Any]) -> bool:
    """Whether all that setup doesn't write came through."""
    try:
        return _others(tomllib.loads(text)) == _others(raw)
    except tomllib.TOMLDecodeError:
        return False


def _others(raw: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in raw.items() if key not in SECTIONS}


def _write(path: Path, text: str, *, mode: int) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        if mode & 0o070:  # for the node's group, which the folder belongs to
            os.fchown(file.fileno(), -1, path.parent.stat().st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _copy_beside(path: Path) -> None:
    shutil.copy2(path, path.with_name(f"{path.name}.before"))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
