"""The view that refreshes: level, spectrogram, anomaly map, score, alarms, queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.pictures.colours import evidence_colours, sound_colours
from edge.status.terminal import coloured_lines
from edge.status.text import condition, delivery_line, event_lines, node_line, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from edge.status.snapshot import Picture, Snapshot
    from edge.status.terminal import Look

    FloatArray = NDArray[np.float32]

MARGIN = 10  # for frequencies, left of a picture
MOST_EVENTS = 5
SHADES = " .:-=+*#%@"
METER_CELLS, METER_LOW_DBFS = 30, -90.0
HINT = "Ctrl-C ends this view; the node goes on"
UNKNOWN_COLOUR = (225, 228, 235)  # what isn't weighed yet


def draw(snapshot: Snapshot, look: Look) -> list[str]:
    """A screenful of lines, as wide and as high as the terminal is."""
    head = [node_line(snapshot), delivery_line(snapshot), ""]
    tail = ["", *event_lines(snapshot, MOST_EVENTS), HINT]
    bodies = [_short(snapshot, number, look) for number in range(len(snapshot.inputs))]
    room = look.lines - 1 - len(head) - len(tail) - sum(len(body) for body in bodies)
    for number, body in enumerate(bodies):
        pictures = list(_pictures(snapshot.inputs[number].picture, look))
        if len(pictures) <= room:
            body.extend(pictures)
            room -= len(pictures)
    lines = [line[: look.columns] for line in head]
    for body in bodies:
        lines += body
    lines += [line[: look.columns] for line in tail]
    return lines[: max(1, look.lines - 1)]


def _short(snapshot: Snapshot, number: int, look: Look) -> list[str]:
    level = meter(snapshot.health.inputs[number].level_dbfs)
    lines = [verdict(snapshot, number), f"{level}, {condition(snapshot, number)}"]
    return [line[: look.columns] for line in lines]


def meter(level_dbfs: float | None) -> str:
    """A level as a bar from -90 to 0 dBFS."""
    share = 0.0 if level_dbfs is None else 1.0 - level_dbfs / METER_LOW_DBFS
    filled = round(METER_CELLS * min(max(share, 0.0), 1.0))
    words = "no level" if level_dbfs is None else f"{level_dbfs:.1f} dBFS"
    return f"[{'=' * filled}{' ' * (METER_CELLS - filled)}] {words}"


def _pictures(picture: Picture | None, look: Look) -> Iterator[str]:
    """Spectrogram and map, one above the other, with their axes."""
    width = look.columns - MARGIN
    if picture is None or width < MARGIN:
        return
    sound = _fitted(picture.levels_db(), width)
    evidence = _fitted(picture.evidence_map(), width)
    if look.colours == "none":
        levels = (sound - picture.low_db) / (picture.high_db - picture.low_db)
        lines = [_characters(levels), _characters(_shares(evidence))]
    else:
        pixels = evidence_colours(np.nan_to_num(evidence))
        pixels = np.where(
            np.isnan(evidence)[..., None], np.asarray(UNKNOWN_COLOUR, np.uint8), pixels
        )
        sounding = sound_colours(sound, picture.low_db, picture.high_db)
        lines = [coloured_lines(each, look.colours) for each in (sounding, pixels)]
    for name, rows in zip(("sound", "map"), lines, strict=True):
        yield from _with_axis(name, rows, picture)
    yield f"{'':{MARGIN}}{_time_axis(picture, len(sound))}"


def _with_axis(name: str, rows: list[str], picture: Picture) -> Iterator[str]:
    high_khz, low_khz = picture.row_edges_hz[-1] / 1_000, picture.row_edges_hz[0] / 1_000
    names = {0: f"{high_khz:.1f} kHz", len(rows) // 2: name, len(rows) - 1: f"{low_khz:.1f} kHz"}
    for number, row in enumerate(rows):
        yield f"{names.get(number, ''):>{MARGIN - 1}} {row}"


def _time_axis(picture: Picture, width: int) -> str:
    ago = f"-{picture.columns * picture.column_s:.0f} s"
    return f"{ago}{'now':>{max(0, width - len(ago))}}"


def _fitted(cells: FloatArray, width: int) -> FloatArray:
    """At most so many columns, each the largest of those that share it."""
    count = len(cells)
    if count <= width:
        return cells
    starts = np.arange(width) * count // width
    return np.asarray(np.fmax.reduceat(cells, starts, axis=0), np.float32)


def _shares(evidence: FloatArray) -> FloatArray:
    """Half of the shades up to the alarm level, the others up to eight times it."""
    known = np.nan_to_num(evidence)
    loud = 0.5 + np.log(np.maximum(known, 1.0)) / np.log(8.0) / 2
    return np.asarray(np.where(known < 1, known * 0.45, loud), np.float32)


def _characters(shares: FloatArray) -> list[str]:
    """Two rows in each line, as in colours."""
    if shares.shape[1] % 2:
        shares = np.concatenate([shares, shares[:, -1:]], axis=1)
    pairs = shares.reshape(len(shares), -1, 2).max(axis=2).T[::-1]
    steps = np.clip(np.nan_to_num(pairs) * (len(SHADES) - 1), 0, len(SHADES) - 1)
    return ["".join(SHADES[round(float(step))] for step in row) for row in steps]
