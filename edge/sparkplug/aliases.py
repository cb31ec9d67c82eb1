"""Numbers that stand for metric names, where `compact` wants them.

Each is unique on the edge node, devices included, and stays the same as long as the node runs. The
rebirth metric has none, so that a host that has lost its place can always ask for one.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from edge.sparkplug.metrics import BD_SEQ

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Aliases:
    """Both ways.

    Args:
        names: of the metrics of the node (None) and of each device; nothing: there are no aliases.
    """

    def __init__(self, names: Mapping[str | None, Iterable[str]]) -> None:
        numbers = count(1)
        self._numbers = {(of, name): next(numbers) for of, all_ in names.items() for name in all_}
        if names:
            self._numbers[None, BD_SEQ] = next(numbers)
        self._names = {number: key for key, number in self._numbers.items()}

    def number(self, device: str | None, name: str) -> int | None:
        """The alias of a metric."""
        return self._numbers.get((device, name))

    def name(self, device: str | None, alias: int) -> str | None:
        """The metric that an alias stands for, if it is one of that device."""
        of, name = self._names.get(alias, (None, None))
        return name if of == device else None
