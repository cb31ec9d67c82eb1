"""What the quality check found in calibration sound, and what is left out because of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibration.figures import Figures

Kind = Literal[
    "too short", "silent", "frozen", "repeated", "clipped", "offset", "hum",
    "two regimes", "contaminated", "too much left out",
]  # fmt: skip
Severity = Literal["refuse", "leave out", "warn"]
Stretch = tuple[float, float]  # start and end in a recording, in seconds

LARGEST_SHARE_LEFT_OUT = 0.25
NEVER_ACCEPTED: tuple[Kind, ...] = ("silent", "frozen", "too short")
REASONS_OF_A_KIND = 3


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that is wrong with the sound; `recording` is empty where it concerns all."""

    kind: Kind
    severity: Severity
    start_s: float
    end_s: float
    recording: str
    text: str

    @property
    def line(self) -> str:
        """For a person, in one line."""
        done = {"refuse": "", "leave out": " (left out)", "warn": " (warning)"}[self.severity]
        return f"{self.recording}: {self.text}{done}" if self.recording else f"{self.text}{done}"


class Quality(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found, the stretches of each recording to leave out, and what remains."""

    findings: list[Finding] = []
    left_out: dict[str, list[Stretch]] = {}
    remaining_s: float = 0.0


def severity_for(share: float) -> Severity:
    """A little bad sound is left out; more of it says that something is wrong."""
    return "refuse" if share > LARGEST_SHARE_LEFT_OUT else "leave out"


def share_of(flags: Sequence[NDArray[np.bool_]], figures: Sequence[Figures]) -> float:
    """The share of all sound, in time, that is flagged."""
    flagged_s = sum(
        float(lengths_s(own)[flag].sum()) for own, flag in zip(figures, flags, strict=True)
    )
    return flagged_s / max(1e-9, sum(own.duration_s for own in figures))


def lengths_s(figures: Figures) -> NDArray[np.float64]:
    """How long each second is: the last of a recording may have half as much again."""
    return np.asarray(figures.seconds["end_s"] - figures.seconds["start_s"])


def stretches(flags: NDArray[np.bool_], figures: Figures, *, gap_s: float = 0.0) -> list[Stretch]:
    """Where consecutive seconds are flagged; those no more than `gap_s` apart are one stretch."""
    found: list[Stretch] = []
    for row in figures.seconds[flags]:
        start_s, end_s = float(row["start_s"]), float(row["end_s"])
        if found and start_s - found[-1][1] <= gap_s + 1e-6:
            found[-1] = (found[-1][0], end_s)
        else:
            found.append((start_s, end_s))
    return found


def union(parts: Sequence[Stretch]) -> list[Stretch]:
    """The same time, in order and without overlaps."""
    joined: list[Stretch] = []
    for start_s, end_s in sorted(parts):
        if joined and start_s <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
        else:
            joined.append((start_s, end_s))
    return joined


def reasons(findings: Sequence[Finding]) -> str:
    """Why the sound is refused: a line each, a few of a kind."""
    lines: list[str] = []
    for kind in dict.fromkeys(finding.kind for finding in findings):
        own = [finding.line for finding in findings if finding.kind == kind]
        lines += own[:REASONS_OF_A_KIND]
        if len(own) > REASONS_OF_A_KIND:
            lines.append(f"... and {len(own) - REASONS_OF_A_KIND} more: {kind}")
    return "\n".join(lines)
