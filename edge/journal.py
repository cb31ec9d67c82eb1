"""Log lines for journald: each begins with its priority, `<4>`, as sd-daemon(3) has it.

Only where standard error leads to the journal itself. On a terminal, and in a file, nothing is
added.
"""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO

DEBUG, INFO, NOTICE, WARNING, ERROR, CRITICAL = 7, 6, 5, 4, 3, 2


def to_journal(stream: TextIO | None = None) -> bool:
    """Whether a stream, standard error unless told, is the one that systemd gave this process."""
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat((stream or sys.stderr).fileno())
    except (OSError, ValueError):  # closed, or none of the system's
        return False
    return (device, inode) == (str(status.st_dev), str(status.st_ino))


def priority(level: int) -> int:
    """A level of `logging` as one of syslog's, 0 to 7; less is worse."""
    for least, number in (
        (logging.CRITICAL, CRITICAL),
        (logging.ERROR, ERROR),
        (logging.WARNING, WARNING),
        (logging.INFO, INFO),
    ):
        if level >= least:
            return number
    return DEBUG


def prefixed(text: str, number: int) -> str:
    """Text with its priority before each line: journald takes every line for a message."""
    return "\n".join(f"<{number}>{line}" for line in text.splitlines() or [""])


class JournalFormatter(logging.Formatter):
    """The message as it is, with priorities."""

    def format(self, record: logging.LogRecord) -> str:
        """Lines for journald."""
        return prefixed(super().format(record), priority(record.levelno))


def log_to_stderr(thinned: logging.Filter | None = None) -> None:
    """Set up logging for a command: messages alone, and priorities where the journal reads them.

    Args:
        thinned: drops lines that come again and again. Handlers that are there already are left.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if to_journal() else logging.Formatter("%(message)s"))
    if thinned is not None:
        handler.addFilter(thinned)
    logging.basicConfig(level=logging.INFO, handlers=[handler])


def complain(text: str) -> None:
    """One line on standard error about what ends a command."""
    line = f"earpatch: {text}"
    print(prefixed(line, ERROR) if to_journal() else line, file=sys.stderr)
