"""Figures as tables to read: a section each, a row for each setting, a column for each name."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.bench.figures import Figure


def lines_of(figures: Sequence[Figure]) -> Iterator[str]:
    """The lines of all tables; a cell is `median (lower quartile-upper quartile)`."""
    for section in dict.fromkeys(each.section for each in figures):
        yield f"{section}: median (quartiles)"
        yield from _aligned(_rows([each for each in figures if each.section == section]))
        yield ""


def _rows(figures: Sequence[Figure]) -> list[list[str]]:
    names = list(dict.fromkeys((each.name, each.unit) for each in figures))
    cells = {(each.setting, each.name, each.unit): _cell(each) for each in figures}
    rows = [["", *(name for name, _ in names)], ["", *(unit for _, unit in names)]]
    settings = dict.fromkeys(each.setting for each in figures)
    return rows + [[s, *(cells.get((s, *name), "-") for name in names)] for s in settings]


def _cell(each: Figure) -> str:
    if each.low == each.high:
        return f"{each.median:g}"
    return f"{each.median:.3g} ({each.low:.3g}-{each.high:.3g})"


def _aligned(rows: list[list[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for first, *others in rows:
        padded = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join([first.ljust(widths[0]), *padded]).rstrip()
