"""`earpatch status` beside a real node: as lines, as JSON, on a real terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from edge.status.snapshot import SOCKET_NAME
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, wait_until
from tests.edge.test_commands import assert_one_line, earpatch
from tests.edge.test_node import (
    anomalies,
    boxes,
    by_time,
    configuration,
    day_source,
    ended,
    scored,
    started,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Broker, Site


@pytest.fixture
def config(tmp_path: Path, site: Site, broker: Broker) -> Path:
    """Of a node that plays the day at real speed."""
    return configuration(tmp_path, site, broker.port, day_source(site, realtime=True))


@pytest.fixture
def long_config(tmp_path: Path, site: Site, broker: Broker) -> Path:
    """Of one that plays it again and again: a busy computer takes long to look at it."""
    sound, rate_hz = soundfile.read(site.day)
    soundfile.write(tmp_path / "long.wav", np.tile(sound, 20), rate_hz)
    source = f'kind = "file"\npath = "{tmp_path}/long.wav"\nrealtime = true'
    return configuration(tmp_path, site, broker.port, source)


@contextlib.contextmanager
def running(config: Path) -> Iterator[subprocess.Popen[bytes]]:
    with started(config) as node:
        wait_until((config.parent / "state" / SOCKET_NAME).exists)
        yield node
        node.send_signal(signal.SIGTERM)


def test_a_node_that_does_not_run_is_one_line_and_code_4(config: Path) -> None:
    assert_one_line(earpatch("status", "--config", config, "--once"), 4, "not running")


def test_a_configuration_that_is_not_there_is_one_line_and_code_2(tmp_path: Path) -> None:
    ran = earpatch("status", "--config", tmp_path / "none.toml")
    assert_one_line(ran, 2, "no such configuration file")


def test_once_says_in_a_few_lines_how_it_is(config: Path) -> None:
    with running(config):
        ran = earpatch("status", "--config", config, "--once")
    assert (ran.returncode, ran.stderr) == (0, "")
    first, second, third, *_ = ran.stdout.splitlines()
    assert first.startswith("pump-3: earpatch ")
    assert second.startswith("broker mqtt://127.0.0.1:")
    assert third.startswith("main: ")


def test_json_is_one_object_a_line_with_pictures(config: Path) -> None:
    with running(config):
        heard: list[dict[str, object]] = []
        wait_until(lambda: heard and heard[-1]["picture"], lambda: heard.append(look(config)))
    assert heard[-1]["name"] == "main"


def look(config: Path) -> dict[str, object]:
    ran = earpatch("status", "--config", config, "--once", "--json")
    assert (ran.returncode, ran.stderr, ran.stdout.count("\n")) == (0, "", 1)
    told = json.loads(ran.stdout)
    assert told["schema"] == "urn:earpatch:schema:status:1"
    view: dict[str, object] = told["inputs"][0]
    return view


def test_ctrl_c_ends_the_view_and_gives_the_terminal_back(long_config: Path) -> None:
    command = [sys.executable, "-m", "convert.main", "status", "--config", str(long_config)]
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "40"}
    with running(long_config):
        ours, theirs = pty.openpty()
        child = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        )
        os.close(theirs)
        seen = read_until(ours, b"Ctrl-C ends")
        seen += read_until(ours, b"Ctrl-C ends")
        child.send_signal(signal.SIGINT)
        seen += read_until(ours, b"\x1b[?1049l")
        assert child.wait(DEADLINE_S) == 0
        os.close(ours)
    assert seen.startswith(b"\x1b[?1049h")
    assert b"Traceback" not in seen
    assert b"pump-3: earpatch" in seen


def read_until(descriptor: int, mark: bytes) -> bytes:
    seen, deadline = b"", time.monotonic() + DEADLINE_S
    while mark not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([descriptor], [], [], 1.0)[0]:
            seen += os.read(descriptor, 65_536)
    return seen


def test_visitors_of_every_kind_change_nothing_of_what_a_node_finds(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    """Those who talk, those who never read, and more of them than are served."""
    config = configuration(tmp_path, site, broker.port, day_source(site, realtime=True))
    address = str(tmp_path / "state" / SOCKET_NAME)
    visitors: list[socket.socket] = []

    def visit() -> None:
        link = socket.socket(socket.AF_UNIX)
        link.settimeout(1.0)
        visitors.append(link)
        with contextlib.suppress(OSError):
            link.connect(address)
            if len(visitors) % 2:
                link.sendall(b"x" * 1_000)
        time.sleep(0.05)

    with Subscriber(broker.port) as heard, started(config) as node:
        wait_until(lambda: node.poll() is not None, visit)
        code, errors = ended(node)
        assert (code, "Traceback" in errors) == (0, False), errors
        wait_until(lambda: len(anomalies(heard)) >= len(scored(site)))
        assert boxes(anomalies(heard)) == by_time(scored(site))
    for each in visitors:
        each.close()
