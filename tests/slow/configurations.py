"""Configurations as the documents have them and with every key there is, and ways to spoil them."""

from __future__ import annotations

import copy
import re
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge.capture.settings import LevelRule, MicrophoneSource, RecordingSource, StdinSource
from edge.settings import Settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

Content = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
PACKAGED = ROOT / "packaging" / "earpatch.toml.example"
LEAST: Content = {
    "node": {"id": "pump-3"},
    "bundle": {"path": "bundle"},
    "source": {"kind": "stdin", "rate_hz": 48_000},
}
SOURCES: tuple[Content, ...] = (
    {"kind": "file", **msgspec.to_builtins(RecordingSource(path="line3.flac"))},
    {"kind": "stdin", **msgspec.to_builtins(StdinSource(rate_hz=48_000))},
    {"kind": "microphone", **msgspec.to_builtins(MicrophoneSource(device="port:1-1.2"))},
)
LEVEL: Content = msgspec.to_builtins(LevelRule(name="loud", above_dbfs=-20.0, high_hz=900.0))
ODD: list[Any] = [
    True, False, 0, -1, 1, 2, 3_600, 2**31, 2**63, -(2**63), 10**300,
    0.5, -0.0, 1e308, -1e-300, float("nan"), float("inf"), float("-inf"),
    "", " ", "a", "true", "1e3", "x" * 300, "x" * 5_000, "a\x00b", "a\nb", "\x7f", "\u2028", "é",
    "../../etc/passwd", "/", "a/b", "#", "+", "$", "`", "a`b", "$.node", "\x1b[31m", "\U0001f680",
    "mqtts://broker:99999", "mqtt://user:secret@broker", "mqtt://[::1", "mqtts://broker",
    "port:", "port:1-1.2", "usb:0d8c", "hw:0,0", "3", "file", "stdin", "microphone", "calibrate",
    [], [[]], [1, "a"], ["a", "a"], ["shelve"], ["mqtt://a", "mqtt://b"], {}, {"": 1},
    {"name": "a", "above_dbfs": -20}, datetime(2026, 11, 28, tzinfo=timezone.utc),
]  # fmt: skip
ODD_KEYS = ["", "x", "nodes", "ID", "id ", "a.b", "a`b", "[node]", "é", "a\nb", "$", "k" * 3_000]


def real() -> list[Content]:
    """What is in the package and the documents, made whole where a document shows a part."""
    texts = [PACKAGED.read_text("utf-8")]
    for document in DOCUMENTS:
        texts += re.findall(r"(?ms)^```toml\n(.*?)^```", document.read_text("utf-8"))
    return [_whole(tomllib.loads(text)) for text in texts]


def complete() -> list[Content]:
    """For each kind of source, every section with every key, new ones too."""
    defaults = msgspec.to_builtins(msgspec.convert(LEAST, Settings), builtin_types=(datetime,))
    sections = {k: v for k, v in defaults.items() if k not in {*LEAST, "inputs", "level"}}
    secure = {"url": "mqtts://broker", "username": "a", "password_file": "p", "ca_file": "ca",
              "cert_file": "c", "key_file": "k"}  # fmt: skip
    sections["mqtt"] |= secure
    sections["sparkplug"] |= {"enabled": True, "edge_node": "e", "primary_host": "h",
                              "brokers": ["mqtts://a", "mqtts://b"]}  # fmt: skip
    sections["homeassistant"]["enabled"] = sections["clips"]["enabled"] = True
    bundle = {"path": "bundle", "runtime": "auto"}
    node = {"id": "pump-3", "state_dir": "state"}
    found = [
        {"node": node, **sections, "bundle": bundle, "source": source, "level": [LEVEL]}
        for source in SOURCES
    ]
    inputs = [
        {"name": f"input-{number}", "source": source, "bundle": bundle, "level": [LEVEL]}
        for number, source in enumerate(SOURCES)
    ]
    return [_without_none(each) for each in (*found, {"node": node, **sections, "inputs": inputs})]


def _whole(part: Content) -> Content:
    """With what every configuration needs."""
    needed = {"node": LEAST["node"]} if "inputs" in part else LEAST
    return {**copy.deepcopy(needed), **part}


def _without_none(value: Any) -> Any:
    """TOML has no null: what is not set is not there."""
    if isinstance(value, dict):
        return {key: _without_none(each) for key, each in value.items() if each is not None}
    return [_without_none(each) for each in value] if isinstance(value, list | tuple) else value


def text_of(content: Content) -> str:
    """As TOML, with sections as a person writes them; a key that is no bare one is quoted."""
    lines = [f"{_key(k)} = {_value(v)}" for k, v in content.items() if not isinstance(v, dict)]
    for name, section in content.items():
        if isinstance(section, dict):
            lines += ["", f"[{_key(name)}]"]
            lines += [f"{_key(key)} = {_value(value)}" for key, value in section.items()]
    return "\n".join(lines) + "\n"


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else repr(value)


def spoilt(content: Content, random: Random) -> Content:
    """The same with one to four mistakes in it."""
    content = copy.deepcopy(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        places = list(_places(content))
        if places:
            _spoil(*random.choice(places), [v for _, _, v in places], random)
    return content


def _spoil(inside: Any, key: Any, value: Any, others: list[Any], random: Random) -> None:
    """One mistake in one place."""
    kind = random.randrange(8)
    if kind == 0:
        del inside[key]
    elif kind == 1:  # another place's value
        inside[key] = copy.deepcopy(random.choice(others))
    elif kind == 2 and isinstance(inside, dict):  # a typo, or a key of elsewhere
        del inside[key]
        typos = (key[:-1], key + key[-1:], key.upper(), random.choice(ODD_KEYS))
        inside[random.choice(typos)] = value
    elif kind == 3 and isinstance(inside, dict):
        inside[random.choice(ODD_KEYS)] = copy.deepcopy(random.choice(ODD))
    elif kind == 4:
        inside[key] = random.choice(([value], {"x": value}, [value, value], {"kind": value}))
    elif kind == 5 and isinstance(value, list):
        inside[key] = value * random.choice((2, 3, 50))
    elif kind == 6 and isinstance(value, int | float) and not isinstance(value, bool):
        inside[key] = random.choice((-value, value * 10, value // 7, value + 1, str(value)))
    else:
        inside[key] = copy.deepcopy(random.choice(ODD))


def _places(value: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Every value with where it is: in what, and under which key or number."""
    pairs = (
        list(value.items()) if isinstance(value, dict)
        else list(enumerate(value)) if isinstance(value, list) else []
    )  # fmt: skip
    for key, each in pairs:
        yield value, key, each
        yield from _places(each)
