"""What systemd is told: ready once, alive now and then, one line each; sd_notify(3)."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from edge import watchdog
from edge.watchdog import Watchdog
from tests.edge.notified import Manager

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_ready_is_told_once_and_with_the_first_sign_of_life(tmp_path: Path) -> None:
    with Manager(tmp_path) as manager:
        told = Watchdog(manager.address)
        assert manager.hear() == []
        told.alive("main hearing")
        told.alive("main hearing")
        assert manager.hear() == [{"READY": "1", "STATUS": "main hearing", "WATCHDOG": "1"}]


def test_signs_of_life_go_on_but_not_more_than_one_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with Manager(tmp_path) as manager:
        told = Watchdog(manager.address)
        for _ in range(50):
            told.alive("x")
            now[0] += 0.1
        assert 4 <= len([m for m in manager.hear() if m["WATCHDOG"] == "1"]) <= 6


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


def test_an_abstract_address_is_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0earpatch-test-watchdog")
        manager.settimeout(5.0)
        Watchdog("@earpatch-test-watchdog").stopping()
        assert manager.recv(100) == b"STOPPING=1"


def test_without_systemd_nothing_is_told_and_a_manager_that_has_gone_is_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Watchdog("").alive("x")
    assert not caplog.records
    Watchdog(str(tmp_path / "gone")).alive("x")
    assert "can't be told" in caplog.text


@given(st.text())
def test_no_status_can_say_anything_but_a_status(text: str) -> None:
    line = watchdog._one_line(text)
    assert line.isprintable()
    assert len(line.splitlines()) <= 1
