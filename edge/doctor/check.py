"""One line of what doctor says, and what the checks share.

The standard library only: whatever else is broken, this still works.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from edge.settings import Settings
    from edge.status.snapshot import Snapshot

State = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True)
class Check:
    """What was looked at, what was found, and what to do about it."""

    name: str
    state: State
    found: str
    todo: str = ""


@dataclass
class Visit:
    """One run of doctor: what is examined, and what earlier checks learnt for later ones."""

    config: Path | None  # the configuration's file, if there is one
    root: Path = field(default=Path("/"))  # of the system that is looked at: /proc, /sys, /etc
    settings: Settings | None = None
    snapshot: Snapshot | None = None  # what a running node has told
    running: bool = False  # a node uses the state folder
    loadable: bool = True  # whether the compiled packages can be loaded into this process
    has_interpreter: bool = True  # whether the CPU is one for which there are runtimes


def read_text(path: Path) -> str | None:
    """A small file of the kernel's, or None."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__
