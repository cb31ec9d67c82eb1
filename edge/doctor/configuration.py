"""The configuration file, and the files that it names for the broker."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.delivery.credentials import check_files
from edge.doctor.check import Check
from edge.errors import SettingsError
from edge.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit
    from edge.settings import Settings

OTHERS_READ = 0o007


def checks(visit: Visit) -> Iterator[Check]:
    """All of them; what was read is for the other checks."""
    if visit.config is None:
        text = "none: what depends on it is not checked"
        yield Check("configuration", "skipped", text, "earpatch doctor --config FILE")
        return
    try:
        visit.settings = load_settings(visit.config)
    except SettingsError as error:
        yield Check("configuration", "failed", str(error), "see docs/configuration.md")
        return
    count = len(visit.settings.all_inputs())
    inputs = "1 input" if count == 1 else f"{count} inputs"
    text = f"{visit.config}: node {visit.settings.node.id}, {inputs}"
    yield Check("configuration", "ok", text)
    yield from _credentials(visit.settings)


def _credentials(settings: Settings) -> Iterator[Check]:
    try:
        check_files(settings.mqtt)
    except SettingsError as error:
        todo = "correct it in the configuration, or let the node's user read it"
        yield Check("credentials", "failed", str(error), todo)
        return
    for key in ("password_file", "key_file"):
        path = getattr(settings.mqtt, key)
        if path and Path(path).stat().st_mode & OTHERS_READ:
            text = f"mqtt.{key} {path} can be read by everybody on this computer"
            yield Check("credentials", "warning", text, f"sudo chmod o= {path}")
