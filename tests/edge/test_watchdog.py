"""What systemd is told: by a real datagram socket, as sd_notify(3) has it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from edge import watchdog as watchdog_module
from edge.watchdog import LONGEST_STATUS, Watchdog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEADLINE_S = 10.0


class Manager:
    """The service manager's end."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self._socket.settimeout(DEADLINE_S)

    def told(self) -> list[str]:
        """The lines of the next message."""
        return self._socket.recv(65_536).decode().split("\n")

    def told_nothing(self) -> bool:
        """Whether no message waits."""
        self._socket.setblocking(False)
        try:
            self._socket.recv(65_536)
        except BlockingIOError:
            return True
        finally:
            self._socket.settimeout(DEADLINE_S)
        return False

    def close(self) -> None:
        """It is gone."""
        self._socket.close()


@pytest.fixture(params=["a path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    """Both kinds of addresses that systemd gives."""
    address = (
        str(tmp_path / "n") if request.param == "a path" else f"@{tmp_path.name}-{id(tmp_path)}"
    )
    found = Manager(address)
    yield found
    found.close()


class Clock:
    """Stands in for the module `time`."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        """Of the moment."""
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(watchdog_module, "time", found)
    return found


def test_the_first_sign_of_life_says_ready_too(manager: Manager, clock: Clock) -> None:
    watchdog = Watchdog(manager.address)
    assert manager.told_nothing(), "a node that has scored nothing isn't ready"
    watchdog.alive("main hearing")
    assert manager.told() == ["READY=1", "STATUS=main hearing", "WATCHDOG=1"]
    clock.now_s += 1.0
    watchdog.alive("main silent")
    assert manager.told() == ["STATUS=main silent", "WATCHDOG=1"]


def test_no_more_than_once_a_second(manager: Manager, clock: Clock) -> None:
    watchdog = Watchdog(manager.address)
    for _ in range(50):
        watchdog.alive("main hearing")
        clock.now_s += 0.1
    told = 0
    while not manager.told_nothing():
        told += 1
    assert told == 5


def test_the_end_is_announced(manager: Manager) -> None:
    Watchdog(manager.address).stopping()
    assert manager.told() == ["STOPPING=1"]


def test_a_long_status_is_cut(manager: Manager) -> None:
    Watchdog(manager.address).alive("x" * 10_000)
    assert manager.told()[1] == "STATUS=" + "x" * LONGEST_STATUS


def test_systemd_s_variable_is_the_address(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
    Watchdog().alive("main hearing")
    assert "WATCHDOG=1" in manager.told()


def test_without_systemd_nothing_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    watchdog = Watchdog()
    watchdog.alive("main hearing")
    watchdog.stopping()
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["nobody", "x" * 200])
def test_a_manager_that_can_t_be_reached_is_no_reason_to_end(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    Watchdog(str(tmp_path / name)).alive("main hearing")
    assert "the service manager can't be told" in caplog.text


def test_a_manager_that_doesn_t_read_can_t_hold_the_node_up(tmp_path: Path, clock: Clock) -> None:
    """E12: its queue is full, and nobody waits for it."""
    manager = Manager(str(tmp_path / "n"))
    watchdog = Watchdog(manager.address)
    for _ in range(2_000):
        clock.now_s += 1.0
        watchdog.alive("main hearing")
    manager.close()
