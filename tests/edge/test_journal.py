"""Log lines as journald wants them, and only where journald reads them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.journal import JournalFormatter, prefixed, priority, to_journal

if TYPE_CHECKING:
    from pathlib import Path

CHILD_S = 60.0
MISTAKE = [sys.executable, "-m", "convert.main", "run", "--config", "/nowhere.toml"]


@pytest.mark.parametrize(
    ("level", "number"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6),
     (logging.DEBUG, 7), (35, 4)],
)  # fmt: skip
def test_each_level_has_a_priority_of_syslog(level: int, number: int) -> None:
    assert priority(level) == number


def test_every_line_of_a_message_has_it() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "one\ntwo", (), None)
    assert JournalFormatter().format(record) == "<4>one\n<4>two"


@given(st.text(), st.integers(0, 7))
def test_no_line_is_without_it(text: str, number: int) -> None:
    lines = prefixed(text, number).split("\n")
    assert all(line.startswith(f"<{number}>") for line in lines)


def error_of(journal: str, log: Path) -> str:
    """What a command with a mistake writes into a file."""
    with log.open("w") as file:
        status = os.fstat(file.fileno())
        stream = journal.format(device=status.st_dev, inode=status.st_ino)
        subprocess.run(
            MISTAKE, stderr=file, timeout=CHILD_S, check=False,
            env={**os.environ, "JOURNAL_STREAM": stream},
        )  # fmt: skip
    return log.read_text()


def test_what_ends_a_command_is_an_error_in_the_journal(tmp_path: Path) -> None:
    expected = "<3>earpatch: /nowhere.toml: no such configuration file\n"
    assert error_of("{device}:{inode}", tmp_path / "log") == expected


@pytest.mark.parametrize("journal", ["", "{device}:1", "nonsense"])
def test_elsewhere_nothing_is_added(journal: str, tmp_path: Path) -> None:
    """A child of a service whose output goes to a file inherits JOURNAL_STREAM."""
    assert error_of(journal, tmp_path / "log").startswith("earpatch: ")


def test_a_stream_that_is_none_of_the_systems_is_not_the_journal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not to_journal()
