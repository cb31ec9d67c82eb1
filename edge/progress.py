"""Progress on the terminal: a bar with an ETA for whatever takes more than two seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Item = TypeVar("Item")
SHOW_AFTER_S = 2.0
LOG_INTERVAL_S = 30.0  # how often a line is written where there is no terminal


def bar(description: str, total: float, unit: str) -> tqdm[Any]:
    """A bar to update by hand; use it as a context manager."""
    return tqdm(
        desc=description,
        total=total,
        unit=unit,
        unit_scale=True,
        delay=SHOW_AFTER_S,
        file=sys.stderr,
        dynamic_ncols=True,
        mininterval=0.2 if sys.stderr.isatty() else LOG_INTERVAL_S,
        bar_format="{desc} {percentage:3.0f}% |{bar}| {n_fmt}/{total_fmt} {unit}, {remaining} left",
        leave=False,
    )


def track(items: Iterable[Item], description: str, total: int, unit: str) -> Iterator[Item]:
    """Iterate with a bar."""
    with bar(description, total, unit) as progress:
        for item in items:
            yield item
            progress.update(1)
