"""The socket of a running node, with real sockets: it never holds up the loop, and never fails."""

from __future__ import annotations

import logging
import os
import socket
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge.errors import EarpatchError
from edge.status import server as server_module
from edge.status.client import first_snapshot, snapshots
from edge.status.server import MAX_CLIENTS, StatusServer
from edge.status.socket_file import LONGEST_BYTES, connect
from tests.edge.delivery.test_listen import DEADLINE_S, wait_until
from tests.edge.status.snapshots import snapshot
from tests.edge.test_runtime import open_descriptors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLINK_S = 1.0  # generous: what never waits takes a fraction of a millisecond


@contextmanager
def serving(path: Path) -> Iterator[StatusServer]:
    server = StatusServer(path)
    server.start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def looking(path: Path) -> Iterator[socket.socket]:
    link = connect(path, DEADLINE_S)
    with link:
        yield link


def read_line(link: socket.socket) -> bytes:
    data = b""
    while not data.endswith(b"\n"):
        more = link.recv(65_536)
        if not more:
            break
        data += more
    return data


def test_it_may_be_used_by_its_group_and_by_nobody_else(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with serving(tmp_path / "s.sock"):
            assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o660
    finally:
        os.umask(before)
    before = os.umask(0o077)
    try:
        with serving(tmp_path / "s.sock"):
            assert stat.S_IMODE((tmp_path / "s.sock").stat().st_mode) == 0o660
    finally:
        os.umask(before)


def test_nothing_is_wanted_until_somebody_looks(tmp_path: Path) -> None:
    with serving(tmp_path / "s.sock") as server:
        assert not server.wanted
        with looking(tmp_path / "s.sock") as link:
            wait_until(lambda: server.wanted)
            server.offer(snapshot())
            assert not server.wanted, "the next one is due later"
            assert msgspec.json.decode(read_line(link))["type"] == "snapshot"
            wait_until(lambda: server.wanted)
        server.offer(snapshot())
        wait_until(lambda: not server.wanted, doing=lambda: server.offer(snapshot()))


def test_a_reader_gets_one_snapshot_after_another(tmp_path: Path) -> None:
    with serving(tmp_path / "s.sock") as server, looking(tmp_path / "s.sock") as link:
        for number in range(3):
            wait_until(lambda: server.wanted)
            server.offer(snapshot(events=number))
            assert len(msgspec.json.decode(read_line(link))["events"]) == number


def test_a_socket_that_a_killed_node_left_behind_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with serving(path), looking(path):
        pass
    assert not path.exists(), "a node that ends tidies up"


def test_something_else_in_its_place_is_left_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.sock"
    path.write_text("mine")
    with serving(path) as server:
        assert not server.wanted
        server.offer(snapshot())
    assert path.read_text() == "mine"
    assert "something else than a socket" in caplog.text


def test_a_folder_that_is_not_there_is_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with serving(tmp_path / "none/s.sock") as server:
        assert not server.wanted
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_path_longer_than_a_socket_s_address_works(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) <= LONGEST_BYTES:
        folder /= "a-long-name-of-a-site"
    folder.mkdir(parents=True)
    with serving(folder / "s.sock") as server, looking(folder / "s.sock") as link:
        wait_until(lambda: server.wanted)
        server.offer(snapshot())
        assert read_line(link)
    assert list(folder.iterdir()) == []


def test_too_many_are_told_so(tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    with serving(path) as server, ExitStack() as stack:
        links = [stack.enter_context(looking(path)) for _ in range(MAX_CLIENTS)]
        wait_until(lambda: len(server._clients) == MAX_CLIENTS)
        with pytest.raises(EarpatchError, match="others are looking"):
            first_snapshot(path)
        links[0].close()
        wait_until(lambda: len(server._clients) < MAX_CLIENTS)
        stack.enter_context(looking(path))
        wait_until(lambda: len(server._clients) == MAX_CLIENTS)


def test_one_who_speaks_is_sent_away(tmp_path: Path) -> None:
    """There is nothing to say, so nobody can keep the thread busy with talk."""
    with serving(tmp_path / "s.sock") as server, looking(tmp_path / "s.sock") as link:
        link.sendall(b"GET / HTTP/1.1\r\n\r\n")
        with suppress(ConnectionResetError):
            assert link.recv(1) == b""
        wait_until(lambda: not server._clients)


def test_one_who_does_not_read_is_dropped_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "SLOW_S", 0.3)
    monkeypatch.setattr(server_module, "TICK_S", 0.05)
    large, path = snapshot(events=2_000), tmp_path / "s.sock"
    with serving(path) as server, looking(path), looking(path) as reader:
        wait_until(lambda: len(server._clients) == 2)
        deadline, took_s = time.monotonic() + DEADLINE_S, []
        while len(server._clients) == 2:
            assert time.monotonic() < deadline, "never dropped"
            began = time.monotonic()
            server.offer(large)
            took_s.append(time.monotonic() - began)
            assert read_line(reader)
        assert max(took_s) < BLINK_S
        server.offer(large)
        assert read_line(reader), "the other one goes on"


def test_a_burst_of_visitors_leaves_nothing_behind(tmp_path: Path) -> None:
    with serving(tmp_path / "s.sock") as server:
        descriptors = open_descriptors()
        for _ in range(200):
            with looking(tmp_path / "s.sock"):
                pass
        wait_until(lambda: not server._clients)
        wait_until(lambda: open_descriptors() == descriptors)


def test_a_reader_sees_the_node_s_end(tmp_path: Path) -> None:
    with serving(tmp_path / "s.sock") as server:
        told = snapshots(tmp_path / "s.sock")
        with looking(tmp_path / "s.sock"):
            wait_until(lambda: server.wanted)
        server.close()
    with pytest.raises(EarpatchError, match="not running"):
        next(told)
