"""A configuration and a visit to it, below folders that a test may fill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.doctor.check import Check, State, Visit
from edge.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CONFIG = """
[node]
id = "pump-3"
state_dir = "state"
[bundle]
path = "{bundle}"
[source]
{source}
[mqtt]
url = "mqtt://127.0.0.1:{port}"
{mqtt}
"""
MICROPHONE = 'kind = "microphone"'


def visit_to(
    folder: Path,
    *,
    source: str = MICROPHONE,
    bundle: object = "bundle",
    port: int = 9,
    mqtt: str = "",
    root: Path | None = None,
) -> Visit:
    """A visit whose configuration has been read; the system's files are below `root`."""
    config = folder / "node.toml"
    config.write_text(CONFIG.format(source=source, bundle=bundle, port=port, mqtt=mqtt))
    return Visit(config, root or folder / "root", settings=load_settings(config))


def write(root: Path, **files: str) -> Path:
    """Files below a folder; `__` stands for a slash."""
    for name, text in files.items():
        put(root, name.replace("__", "/"), text)
    return root


def put(root: Path, name: str, text: str) -> Path:
    """One file below a folder."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def only(checks: Iterable[Check], name: str) -> Check:
    """The one check of that name."""
    (found,) = (check for check in checks if check.name == name)
    return found


def states(checks: Iterable[Check]) -> dict[str, State]:
    """How each stands."""
    return {check.name: check.state for check in checks}


def says(check: Check, state: State, *words: str) -> None:
    """How it stands, what it found and what to do."""
    text = f"{check.found} -> {check.todo}"
    assert check.state == state, check
    assert [word for word in words if word not in text] == [], text
    assert "\n" not in text
    assert state in {"ok", "skipped"} or check.todo, "a person wants to know what to do"
