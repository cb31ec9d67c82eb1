"""What systemd is told of a reload, and that no status can say anything else; sd_notify(3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edge import watchdog
from edge.watchdog import Watchdog
from tests.edge.notified import Manager

if TYPE_CHECKING:
    from pathlib import Path


def test_after_reloading_ready_is_told_anew(tmp_path: Path) -> None:
    with Manager(tmp_path) as manager:
        told = Watchdog(manager.address)
        told.alive("x")
        told.reloading()
        told.alive("y")
        _, reloading, ready = manager.hear()
        assert reloading["RELOADING"] == "1"
        assert int(reloading["MONOTONIC_USEC"]) > 0
        assert ready["READY"] == "1"


def test_a_refused_reload_is_over_at_once_and_says_why(tmp_path: Path) -> None:
    with Manager(tmp_path) as manager:
        told = Watchdog(manager.address)
        told.reloading()
        told.ready("reload refused: no such key")
        assert manager.hear()[1:] == [{"READY": "1", "STATUS": "reload refused: no such key"}]


@given(st.text())
def test_no_status_can_say_anything_but_a_status(text: str) -> None:
    line = watchdog._one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
