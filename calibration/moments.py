"""The moments of a recording that are worth a look: its strongest events, or its least normal cell.

Each comes with what stands behind it: how much evidence each scale and each row gives, which of
the scales found it, and which row of the bank is nearest to its peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from calibration.phrases import spoken_hz, spoken_time
from edge.evidence import RECENT_COLUMNS, Evidence
from edge.pictures.images import Outline
from edge.words import spoken_duration

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.events import Event
    from edge.evidence import Thresholds
    from edge.scales import Scale
    from edge.scoring import Scored

    FloatArray = NDArray[np.float32]

MOST_SHOWN = 8
CALM_COLUMNS = 16  # more than a calm scale remembers


@dataclass(frozen=True)
class Moment:
    """Something to show, and why it stands out."""

    outline: Outline
    sentence: str
    score: float
    false_alarms_per_day: float
    column: int  # of its peak
    row: int
    bank_row: int  # nearest to the peak
    found_by: str  # the scale that gave most evidence at the peak
    scales: list[tuple[str, float]]  # the largest evidence that each scale gives
    rows: list[tuple[str, float, bool]]  # the largest of each row, and whether it is in the box


def strongest(events: list[Event]) -> list[Event]:
    """By score, the largest first; of equal ones the earliest."""
    return sorted(events, key=lambda event: (-event.score, event.start_s))


def moments(scored: Scored, thresholds: Thresholds, learnt_s: float) -> list[Moment]:
    """The strongest events; where there is none, the least normal cell."""
    column_s = float(scored.time_edges_s[1])
    found = []
    for number, event in enumerate(strongest(scored.verdict.events)[:MOST_SHOWN], 1):
        outline = Outline(event.start_s, event.end_s, event.low_hz, event.high_hz, str(number))
        column = min(int(event.peak_s / column_s), len(scored.evidence) - 1)
        row = int(np.searchsorted(scored.freq_edges_hz, event.peak_hz)) - 1
        sentence = event.summary(learnt_s)
        rate = event.false_alarms_per_day
        found.append(
            _moment(scored, thresholds, outline, sentence, event.score, rate, (column, row))
        )
    return found or [_least_normal(scored, thresholds)]


def evidence_by_scale(
    thresholds: Thresholds, scored: Scored, first: int, last: int
) -> NDArray[np.float32]:
    """What each scale alone makes of columns `first` to `last`, [scales, columns, rows].

    Only the columns around them that a scale looks at are weighed.
    """
    rows = scored.evidence.shape[1]
    out = []
    for scale in thresholds.scales:
        margin = 2 * scale.columns + RECENT_COLUMNS + CALM_COLUMNS
        start, end = max(0, first - margin), min(len(scored.evidence), last + margin)
        weighing = Evidence(thresholds, [[scale]], rows)
        (found,) = weighing.push(scored.distances[start:end], scored.levels_db[start:end])
        (rest,) = weighing.finish()
        both = np.concatenate([found.evidence, rest.evidence])
        out.append(both[first - start : last - start])
    return np.stack(out)


def scale_name(scale: Scale, column_s: float) -> str:
    """Over how long it averages, and what it compares with."""
    against = "around" if scale.against == "recent" else "normal"
    return f"{spoken_duration(scale.columns * column_s)} / {against}"


def _least_normal(scored: Scored, thresholds: Thresholds) -> Moment:
    column, row = divmod(int(scored.evidence.argmax()), scored.evidence.shape[1])
    times_s, edges_hz = scored.time_edges_s, scored.freq_edges_hz
    outline = Outline(
        float(times_s[column]), float(times_s[column + 1]),
        float(edges_hz[row]), float(edges_hz[row + 1]),
    )  # fmt: skip
    verdict = scored.verdict
    sentence = (
        f"At its most unusual, {spoken_time(outline.start_s)} in, between "
        f"{spoken_hz(outline.low_hz)} and {spoken_hz(outline.high_hz)}, "
        "this recording stays below the alarm level"
    )
    rate = verdict.false_alarms_per_day
    return _moment(scored, thresholds, outline, sentence, verdict.score, rate, (column, row))


def _moment(
    scored: Scored,
    thresholds: Thresholds,
    outline: Outline,
    sentence: str,
    score: float,
    rate: float,
    peak: tuple[int, int],
) -> Moment:
    column, row = peak
    column_s, edges_hz = float(scored.time_edges_s[1]), scored.freq_edges_hz
    first = min(column, round(outline.start_s / column_s))
    last = max(column + 1, round(outline.end_s / column_s))
    by_scale = evidence_by_scale(thresholds, scored, first, last)
    inside = (edges_hz[1:] > outline.low_hz) & (edges_hz[:-1] < outline.high_hz)
    inside[row] = True
    names = [scale_name(scale, column_s) for scale in thresholds.scales]
    largest = by_scale[:, :, inside].max(axis=(1, 2))
    by_row = scored.evidence[first:last].max(axis=0)
    return Moment(
        outline=outline,
        sentence=sentence,
        score=score,
        false_alarms_per_day=rate,
        column=column,
        row=row,
        bank_row=int(scored.nearest[column, row]),
        found_by=names[int(by_scale[:, column - first, row].argmax())],
        scales=sorted(
            zip(names, map(float, largest), strict=True), key=lambda pair: pair[1], reverse=True
        ),
        rows=[
            (f"{spoken_hz(edges_hz[i])} to {spoken_hz(edges_hz[i + 1])}", float(x), bool(inside[i]))
            for i, x in reversed(list(enumerate(by_row)))
        ],
    )
