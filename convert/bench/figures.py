"""A measured figure: the median of its repeats, and the quartiles that say how sure it is."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

FEWEST_ROUNDS, MOST_ROUNDS = 5, 301
WARM_BELOW_S = 0.02  # what takes less is called once more before it is timed


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One cell of a table; `--json` prints it as it is."""

    section: str
    setting: str  # the table's row: a shape, a length of sound
    name: str  # the table's column: what was measured
    unit: str
    median: float
    low: float  # lower quartile
    high: float  # upper quartile
    repeats: int


def figure(section: str, setting: str, name: str, unit: str, values: Sequence[float]) -> Figure:
    """Median and quartiles of repeated measurements.

    Raises:
        ValueError: there are none.
    """
    if not len(values):
        raise ValueError(f"{section}, {setting}: {name} was not measured")
    low, median, high = (float(f"{x:.4g}") for x in np.percentile(values, (25, 50, 75)))
    return Figure(
        section=section, setting=setting, name=name, unit=unit,
        median=median, low=low, high=high, repeats=len(values),
    )  # fmt: skip


def paired_s(
    contenders: Mapping[str, Callable[[], object]], budget_s: float
) -> dict[str, list[float]]:
    """Time contenders in turn, round by round, so that each round finds the same machine.

    Args:
        contenders: what to call.
        budget_s: no further round begins after it, but for the first five.

    Returns:
        The wall time of each call in seconds, one a round.
    """
    times: dict[str, list[float]] = {name: [] for name in contenders}
    until = time.perf_counter() + budget_s
    for number in range(MOST_ROUNDS):
        for name, call in contenders.items():
            if not times[name] or times[name][-1] < WARM_BELOW_S:
                call()
            began = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - began)
        if number + 1 >= FEWEST_ROUNDS and time.perf_counter() > until:
            break
    return times


def ratios(over: Sequence[float], under: Sequence[float]) -> list[float]:
    """Round by round, so that what slows both down cancels."""
    return [a / b for a, b in zip(over, under, strict=True)]
