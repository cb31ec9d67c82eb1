"""What doctor found, for a person and for a program."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from edge import __version__
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge.doctor.check import Check, State

NAME_WIDTH, STATE_WIDTH = 18, 7
COLOURS: dict[State, str] = {"ok": "32", "warning": "33", "failed": "31", "skipped": "2"}
FAILED_EXIT_CODE = 2


def line_of(check: Check, *, coloured: bool) -> str:
    """One line: how it stands, what was looked at, what was found, and what to do."""
    state = f"{check.state:<{STATE_WIDTH}}"
    if coloured:
        state = f"\x1b[{COLOURS[check.state]}m{state}\x1b[0m"
    todo = f" -> {printable(check.todo)}" if check.todo else ""
    return f"{state} {printable(check.name):<{NAME_WIDTH}} {printable(check.found)}{todo}"


def summary_of(checks: Sequence[Check]) -> str:
    """The last line."""
    counts = {state: sum(check.state == state for check in checks) for state in COLOURS}
    told = [f"{counts['ok']} ok"]
    told += [f"{counts[state]} {word}" for state, word in _WORDS.items() if counts[state]]
    return ", ".join(told)


_WORDS: dict[State, str] = {"warning": "to look at", "failed": "failed", "skipped": "skipped"}


def json_of(checks: Sequence[Check], config: Path | None) -> str:
    """One object."""
    told = {
        "version": __version__,
        "config": str(config) if config else None,
        "ok": exit_code(checks) == 0,
        "checks": [asdict(check) for check in checks],
    }
    return json.dumps(told)


def exit_code(checks: Sequence[Check]) -> int:
    """0 unless something failed."""
    return FAILED_EXIT_CODE if any(check.state == "failed" for check in checks) else 0
