"""Whether two computers make the same of the same material, and a table of how much they differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tests.slow.parity_probe import EVIDENCE, FRAMES, NEAREST, QUANTISED, SQUARED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.events import Event
    from tests.slow.parity_probe import Arrays, Probed, Run

Events = Literal["equal", "same places", "different"]

# Of the log-mel value, whose whole range is about 3, and of the steps that the backbone gets.
LOG_MEL, STEPS_UNEQUAL = 1e-4, 1e-3
# Of equal embeddings: what the levels in the evidence, which are floats, may differ by. Relative.
SCORE = 1e-3
OVERLAP = 0.5  # of two boxes in time and frequency, over their union
TITLES = (
    "CPU", "runtime", "kernels", "golden windows", "embeddings equal", "largest step",
    "distances equal", "largest score", "evidence moved, 99 %", "at most", "events",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """How one runtime with one kind of kernels differs from the same on the first computer."""

    processor: str
    runtime: str
    version: str
    kernels: str
    verdict: str
    equal_share: float
    largest_steps: int
    distances: int
    distances_equal: int
    largest_score: float  # here
    moved_p99: float  # 99 % of the cells' evidence moves by less; 1 is the alarm level
    moved: float
    count: int
    events: Events

    @property
    def cells(self) -> list[str]:
        """For the table."""
        whole = self.distances_equal == self.distances
        return [
            self.processor, f"{self.runtime} {self.version}", self.kernels, self.verdict,
            f"{self.equal_share:.1%}", str(self.largest_steps),
            "all" if whole else f"{self.distances_equal} of {self.distances}",
            f"{self.largest_score:.3f}", f"{self.moved_p99:.3f}", f"{self.moved:.3f}",
            f"{self.count}, {self.events}",
        ]  # fmt: skip

    def complaints(self) -> Iterator[str]:
        """What may not be."""
        name = f"{self.processor}, {self.runtime}, {self.kernels}"
        if self.distances_equal != self.distances:
            yield f"{name}: distances differ"
        if self.verdict == "different":
            yield f"{name}: a node would refuse the bundle"
        if self.kernels == "reference" and self.verdict != "equal":
            yield f"{name}: reference kernels round alike everywhere, but are {self.verdict}"
        if self.events == "different" or (self.verdict == "equal" and self.events != "equal"):
            yield f"{name}: golden windows are {self.verdict}, events are {self.events}"


@dataclass(frozen=True)
class FrontEndRow:
    """How the log-mel spectrograms differ."""

    processor: str
    values: int
    largest: float  # difference
    steps_unequal: int  # values that the backbone gets as another integer

    def complaints(self) -> Iterator[str]:
        """What may not be."""
        if not self.largest <= LOG_MEL or self.steps_unequal > STEPS_UNEQUAL * self.values:
            yield f"{self.processor}: log-mel differs by {self.largest:.2g}, {self.steps_unequal}"


def compare(
    processor: str, here: tuple[Probed, Arrays], there: tuple[Probed, Arrays]
) -> tuple[FrontEndRow, list[Row]]:
    """What another computer (there) made of it, against this one."""
    first = {run.name: run for run in here[0].runs}
    frames = np.abs(here[1][FRAMES].astype(np.float64) - there[1][FRAMES])
    unequal = np.count_nonzero(here[1][QUANTISED] != there[1][QUANTISED])
    same = (here[1][SQUARED] == there[1][SQUARED]) & (here[1][NEAREST] == there[1][NEAREST])
    rows = [_row(processor, first[run.name], run, here[1], there[1], same) for run in there[0].runs]
    return FrontEndRow(processor, frames.size, float(frames.max()), int(unequal)), rows


def lines(front: Sequence[FrontEndRow], rows: Sequence[Row]) -> list[str]:
    """A table in Markdown, which can be read as it is, and what is said below it."""
    table = [list(TITLES), ["---"] * len(TITLES), *(row.cells for row in rows)]
    found = [f"| {' | '.join(cells)} |" for cells in table]
    for each in front:
        found += [
            "",
            f"Log-mel on {each.processor}: largest difference {each.largest:.1e}; "
            f"{each.steps_unequal} of {each.values} values reach the backbone as another integer.",
        ]
    return found


def as_json(front: Sequence[FrontEndRow], rows: Sequence[Row]) -> dict[str, object]:
    """All of it, for a program."""
    return {"front_end": [asdict(each) for each in front], "rows": [asdict(each) for each in rows]}


def write_between(page: Path, mark: str, found: Sequence[str]) -> None:
    """Replace what stands between two comments of a page.

    Raises:
        ValueError: they aren't there.
    """
    begin, end = f"<!-- {mark} -->", f"<!-- end of {mark} -->"
    text = page.read_text(encoding="utf-8")
    before, begun, rest = text.partition(begin)
    _, ended, after = rest.partition(end)
    if not begun or not ended:
        raise ValueError(f"{page}: no {begin} before {end}")
    middle = "\n".join(found)
    page.write_text(f"{before}{begin}\n{middle}\n{end}{after}", encoding="utf-8")


def events_of(here: Sequence[Event], there: Sequence[Event]) -> Events:
    """Whether they are the same ones, or as many in the same places."""
    pairs = list(zip(here, there, strict=False))
    if len(here) != len(there) or any(_overlap(a, b) < OVERLAP for a, b in pairs):
        return "different"
    return "equal" if all(_is_equal(a, b) for a, b in pairs) else "same places"


def _row(
    processor: str, first: Run, run: Run, here: Arrays, there: Arrays, same: NDArray[np.bool_]
) -> Row:
    key = f"{EVIDENCE} {run.name}"
    moved = np.abs(here[key].astype(np.float64) - there[key])
    found = [events_of(first.events[name], run.events[name]) for name in first.events]
    return Row(
        processor=processor,
        runtime=run.runtime,
        version=run.version,
        kernels=run.kernels,
        verdict=run.verdict,
        equal_share=run.equal_share,
        largest_steps=run.largest_steps,
        distances=same.size,
        distances_equal=int(np.count_nonzero(same)),
        largest_score=float(there[key].max()),
        moved_p99=float(np.quantile(moved, 0.99)),
        moved=float(moved.max()),
        count=sum(len(events) for events in run.events.values()),
        events=max(found, key=("equal", "same places", "different").index),
    )


def _is_equal(a: Event, b: Event) -> bool:
    """Box and peak alike to the digit; the score, in which levels are, nearly."""
    boxes = [
        (e.start_s, e.end_s, e.low_hz, e.high_hz, e.peak_s, e.peak_hz, e.scale_s, e.nearest_s)
        for e in (a, b)
    ]
    return boxes[0] == boxes[1] and abs(a.score - b.score) <= SCORE * a.score


def _overlap(a: Event, b: Event) -> float:
    """Of two boxes: what they share over what either covers."""
    shared_s = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    shared_hz = min(a.high_hz, b.high_hz) - max(a.low_hz, b.low_hz)
    if shared_s <= 0 or shared_hz <= 0:
        return 0.0
    shared = shared_s * shared_hz
    return shared / (_area(a) + _area(b) - shared)


def _area(event: Event) -> float:
    return (event.end_s - event.start_s) * (event.high_hz - event.low_hz)
