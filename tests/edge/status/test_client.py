"""Who looks: each way in which a node doesn't answer is one clear line."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from edge.errors import EarpatchError
from edge.status import client
from edge.status.client import READ_BYTES, NotRunningError, first_snapshot, snapshots
from edge.status.snapshot import MAX_LINE_BYTES, encoded
from edge.status.socket_file import connect
from tests.edge.status.snapshots import snapshot

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 0.3
LINES = 20


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[list[bytes]]:
    """What somebody who listens at `tmp_path / "s"` answers to the first who comes."""
    said: list[bytes] = []
    done = threading.Event()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "s"))
    listener.listen()

    def serve() -> None:
        link, _ = listener.accept()
        with link:
            with contextlib.suppress(OSError):
                link.sendall(b"".join(said))
            if said[-1:] != [b""]:
                done.wait(30)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield said
    done.set()
    thread.join(30)
    listener.close()


def test_lines_that_come_in_pieces_and_together_are_read(
    tmp_path: Path, answers: list[bytes]
) -> None:
    line = encoded(snapshot())
    assert len(line) % READ_BYTES, "so that lines end within what is read at once"
    answers += [*[line] * LINES, b""]
    assert [told == snapshot() for told in snapshots(tmp_path / "s")] == [True] * LINES


def test_nobody_there_has_an_exit_code_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="not running") as raised:
        first_snapshot(tmp_path / "s")
    assert raised.value.exit_code == 4


def test_a_socket_without_a_node_is_nobody(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    with pytest.raises(NotRunningError):
        first_snapshot(tmp_path / "s")


def test_a_node_whose_thread_lets_nobody_in_is_told_in_time(tmp_path: Path) -> None:
    """The queue in front of a socket is full: the system turns away at once who has a timeout."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as waiting:
        listener.bind(str(tmp_path / "s"))
        listener.listen(0)
        waiting.enter_context(connect(tmp_path / "s", PATIENCE_S))
        with pytest.raises(EarpatchError, match="nobody opens"):
            first_snapshot(tmp_path / "s", PATIENCE_S)


def test_a_node_that_ends_at_once_is_none(tmp_path: Path, answers: list[bytes]) -> None:
    answers += [b""]
    with pytest.raises(NotRunningError):
        first_snapshot(tmp_path / "s")


def test_who_may_not_look_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(client, "connect", refuse)
    with pytest.raises(EarpatchError, match="group"):
        first_snapshot(tmp_path / "s")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([], "loop does not answer"),
        ([b'{"type":"snapshot"'], "loop does not answer"),
        ([b"{}\n"], "something else"),
        ([b"SSH-2.0-OpenSSH\r\n"], "something else"),
        ([b'{"type":"refused","reason":"too many"}\n'], "too many"),
        ([b"x" * (MAX_LINE_BYTES + 70_000)], "more than a status can be"),
    ],
    ids=["silence", "half a line", "another version", "another program", "refusal", "no end"],
)
def test_what_is_no_status_is_one_line(
    tmp_path: Path, answers: list[bytes], said: list[bytes], words: str
) -> None:
    answers += said
    with pytest.raises(EarpatchError, match=words) as raised:
        first_snapshot(tmp_path / "s", PATIENCE_S)
    assert "\n" not in str(raised.value)
