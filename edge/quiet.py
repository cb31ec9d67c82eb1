"""A log that can't fill a disk: equal lines are thinned out, and how many there were is said."""

from __future__ import annotations

import logging
import re
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 3  # that many equal lines are written, then the 10th, the 100th, ...
FORGET_S = 3_600.0  # after which a line is news again
MOST_KINDS = 500
_NUMBERS = re.compile(r"[0-9]+")


class Thinned(logging.Filter):
    """Drops most of many equal lines; lines that differ in their numbers alone are equal.

    Records with `extra={"always": True}` pass: events, which are what the log is for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._seen: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether this one is written."""
        if getattr(record, "always", False):
            return True
        text = record.getMessage()
        key = f"{record.name} {_NUMBERS.sub('#', text)}"
        now = self._clock()
        count, since = self._seen.pop(key, (0, now))
        if now - since > FORGET_S:
            count, since = 0, now
        count += 1
        self._seen[key] = (count, since)
        while len(self._seen) > MOST_KINDS:
            self._seen.popitem(last=False)
        if count <= FIRST:
            return True
        if count % 10 or str(count).strip("0") != "1":
            return False
        record.msg, record.args = f"{text} (for the {count}th time in an hour)", None
        return True
