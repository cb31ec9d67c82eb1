"""[clips]: off unless it is asked for, and within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.clips.retention import Limits
from edge.clips.settings import ClipSettings
from edge.errors import SettingsError
from edge.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

BASE = """
[node]
id = "n"
[bundle]
path = "b"
[source]
kind = "stdin"
rate_hz = 48000
"""


def load(folder: Path, *lines: str) -> ClipSettings:
    path = folder / "node.toml"
    path.write_text("\n".join([BASE, *lines]))
    return load_settings(path).clips


def test_what_is_left_out_has_its_documented_default(tmp_path: Path) -> None:
    found = load(tmp_path)
    assert found == load(tmp_path, "[clips]") == ClipSettings()
    assert (found.enabled, found.before_s, found.after_s, found.longest_s) == (False, 2, 2, 30)
    assert Limits.of(found) == Limits(30 * 86_400, 1_000, 500_000_000, 500_000_000)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("before_s = 31", "clips.before_s"),
        ("after_s = -1", "clips.after_s"),
        ("longest_s = 61", "clips.longest_s"),
        ("max_age_days = 0", "clips.max_age_days"),
        ("max_count = 0", "clips.max_count"),
        ("max_mb = 0.5", "clips.max_mb"),
        ("min_free_mb = 0", "clips.min_free_mb"),
        ("max_megabytes = 1", r"unknown key 'max_megabytes' in \[clips\]"),
        ("before_s = 20\nafter_s = 10", "clips: before_s 20 and after_s 10 leave no room"),
    ],
)
def test_what_is_out_of_bounds_is_one_line(tmp_path: Path, line: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as raised:
        load(tmp_path, "[clips]", line)
    assert len(str(raised.value).splitlines()) == 1
