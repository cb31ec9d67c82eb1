"""Is this sound fit to learn from? What is wrong with it, what is left out, and what to do.

A few figures by second decide (`calibration.figures`). A recording may be unfit by itself
(`calibration.defects`), or not belong to the rest (`calibration.regimes`). A little of that is
left out; more than a quarter is refused, for then something is wrong that a person should see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.defects import find_defects
from calibration.findings import (
    LARGEST_SHARE_LEFT_OUT,
    NEVER_ACCEPTED,
    Finding,
    Quality,
    Stretch,
    reasons,
    severity_for,
    share_of,
    stretches,
    union,
)
from calibration.regimes import find_outliers, find_regimes, levels_of
from edge.errors import RecordingError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from calibration.figures import Figures
    from calibration.regimes import Levels, Regimes

    Flags = NDArray[np.bool_]

MIN_NORMAL_S = 10.0
MARGIN_S = 1  # left out on each side of what stands out
JOIN_S = 5.0  # hammering pauses
SHORTEST_PIECE_S = 2.0  # between cuts; less holds hardly a window


def assess(figures: Sequence[Figures], *, accept: bool = False) -> Quality:
    """Judge all recordings together.

    Args:
        figures: of each recording, in order.
        accept: refusals become warnings, except of sound that isn't there.

    Raises:
        RecordingError: the sound is refused; every reason is a line.
    """
    defects, dead = find_defects(figures)
    findings = [*defects, *_misfits(figures, dead)]
    left_out = _left_out(findings, figures)
    total_s = sum(own.duration_s for own in figures)
    out_s = sum(end_s - start_s for parts in left_out.values() for start_s, end_s in parts)
    refused = any(finding.severity == "refuse" for finding in findings)
    if not refused:
        findings += _too_much(out_s, total_s, findings)
        findings += _too_short(total_s - out_s)
    if accept:
        findings = [_accepted(finding) for finding in findings]
    if why := [finding for finding in findings if finding.severity == "refuse"]:
        raise RecordingError(reasons(why))
    return Quality(findings, left_out, total_s - out_s)


def _accepted(finding: Finding) -> Finding:
    if finding.severity == "refuse" and finding.kind not in NEVER_ACCEPTED:
        return msgspec.structs.replace(finding, severity="warn")
    return finding


def _too_much(out_s: float, total_s: float, findings: list[Finding]) -> list[Finding]:
    copies_s = sum(f.end_s - f.start_s for f in findings if f.kind == "repeated")
    if out_s - copies_s <= LARGEST_SHARE_LEFT_OUT * total_s:
        return []
    text = (
        f"{out_s:.0f} of {total_s:.0f} s would be left out, more than a quarter: "
        + "; ".join(dict.fromkeys(f.kind for f in findings if f.severity == "leave out"))
        + ". Record again while nothing else is going on"
    )
    return [Finding("too much left out", "refuse", 0.0, total_s, "", text)]


def _too_short(remaining_s: float) -> list[Finding]:
    if remaining_s >= MIN_NORMAL_S:
        return []
    text = (
        f"{remaining_s:.1f} s of normal sound; at least {MIN_NORMAL_S:.0f} s are needed, and ten "
        "minutes are better"
    )
    return [Finding("too short", "refuse", 0.0, remaining_s, "", text)]


def _left_out(findings: list[Finding], figures: Sequence[Figures]) -> dict[str, list[Stretch]]:
    """By recording, what is left out; pieces too short for anything go with it."""
    left_out = {}
    for own in figures:
        parts = union(
            [
                (finding.start_s, finding.end_s)
                for finding in findings
                if finding.recording == own.name and finding.severity == "leave out"
            ]
        )
        if not parts:
            continue
        bounds = [0.0, *(time_s for part in parts for time_s in part), own.duration_s]
        short = [
            (start_s, end_s)
            for start_s, end_s in zip(bounds[::2], bounds[1::2], strict=True)
            if 0 < end_s - start_s < SHORTEST_PIECE_S
        ]
        left_out[own.name] = union([*parts, *short])
    return left_out


def _misfits(figures: Sequence[Figures], dead: Sequence[Flags]) -> list[Finding]:
    """Two regimes, and what stands out from its regime."""
    levels = levels_of(figures, dead)
    regimes = find_regimes(levels)
    if regimes is None:
        return _contaminated(figures, levels, [np.ones(len(levels), bool)])
    states = [regimes.louder, ~regimes.louder]
    return [_two_regimes(figures, levels, regimes), *_contaminated(figures, levels, states)]


def _two_regimes(figures: Sequence[Figures], levels: Levels, regimes: Regimes) -> Finding:
    values = levels.table[:, regimes.dimension]
    name = levels.names[regimes.dimension]
    where = "" if name == "level" else f" in {name}"

    def place(second: int, edge: str) -> tuple[str, float]:
        own = figures[levels.owner[second]]
        return own.name, float(own.seconds[edge][levels.row[second]])

    told = []
    for start, end in regimes.runs:
        (first, start_s), (last, end_s) = place(start, "start_s"), place(end - 1, "end_s")
        until = f"{end_s:.0f} s" if first == last else f"{end_s:.0f} s of {last}"
        level_dbfs = float(np.median(values[start:end]))
        told.append(f"{level_dbfs:.0f} dBFS{where} from {start_s:.0f} s of {first} to {until}")
    recording, start_s = place(regimes.runs[1][0], "start_s")
    end_s = figures[levels.owner[regimes.runs[1][0]]].duration_s
    text = (
        f"two regimes: {'; '.join(told)}. Did the machine stop? Record only the running machine. "
        "If both are normal, teach them one after another: calibrate, then calibrate --add"
    )
    return Finding("two regimes", "refuse", start_s, end_s, recording, text)


def _contaminated(
    figures: Sequence[Figures], levels: Levels, groups: Sequence[Flags]
) -> list[Finding]:
    flags, deviations = find_outliers(levels, groups)
    by_recording = []
    for number, own in enumerate(figures):
        flag = np.zeros(len(own.seconds), bool)
        flag[levels.row[(levels.owner == number) & flags]] = True
        by_recording.append(_joined(flag, own))
    severity = severity_for(share_of(by_recording, figures))
    found = []
    for number, own in enumerate(figures):
        for start_s, end_s in stretches(by_recording[number], own):
            inside = np.flatnonzero((levels.owner == number) & flags)
            starts = own.seconds["start_s"][levels.row[inside]]
            inside = inside[(starts >= start_s) & (starts < end_s)]
            text = _contaminated_text(levels, deviations[inside], start_s, end_s)
            found.append(Finding("contaminated", severity, start_s, end_s, own.name, text))
    return found


def _joined(flags: Flags, own: Figures) -> Flags:
    """With the pauses in between, and a margin on each side."""
    joined = np.zeros_like(flags)
    starts, ends = own.seconds["start_s"], own.seconds["end_s"]
    for start_s, end_s in stretches(flags, own, gap_s=JOIN_S):
        joined |= (ends > start_s - MARGIN_S + 1e-6) & (starts < end_s + MARGIN_S - 1e-6)
    return joined


def _contaminated_text(
    levels: Levels, deviations: NDArray[np.float64], start_s: float, end_s: float
) -> str:
    typical = np.median(deviations, axis=0)
    most = int(np.abs(typical).argmax())
    return (
        f"from {start_s:.0f} to {end_s:.0f} s it stands out ({levels.names[most]} "
        f"{typical[most]:+.0f} dB against the rest). If that is normal, record it at least three "
        "times"
    )
