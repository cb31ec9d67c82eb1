"""A process that records, seen from the node: whatever it does, no wait is without an end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.child import READ_BYTES, TAIL_LINES, Heard, Opened, RecordingChild, Told

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_S = 20.0
OPENED = Opened("Mic", 48_000, 1)
SAY_OPENED = 'earpatch {"opened": {"device": "Mic", "rate_hz": 48000, "channels": 1}}'


@contextmanager
def running(code: str) -> Iterator[RecordingChild]:
    """A child that runs a piece of Python, with what it mostly needs."""
    start = "import os, signal, sys, time; say = lambda t: os.write(2, t.encode()); "
    child = RecordingChild([sys.executable, "-c", start + code])
    try:
        yield child
    finally:
        child.kill()


def everything(child: RecordingChild) -> tuple[bytes, list[Told]]:
    """All sound and words until it closes its output."""
    data, told = b"", list[Told]()
    deadline = time.monotonic() + DEADLINE_S
    while True:
        heard = child.wait(0.1)
        data += heard.data
        told += heard.told
        if heard.over:
            return data, told
        assert time.monotonic() < deadline


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_sound_and_words_don_t_disturb_each_other() -> None:
    code = (
        f"say({SAY_OPENED!r} + chr(10)); os.write(1, b'ab'); say('ALSA lib: nonsense' + chr(10)); "
        "os.write(1, b'cd'); say('earpatch {\"overflow_at\": 1}' + chr(10)); os.write(1, b'ef')"
    )
    with running(code) as child:
        data, told = everything(child)
    assert data == b"abcdef"
    assert told == [Told(opened=OPENED), Told(overflow_at=1)]


def test_a_word_that_comes_in_pieces_is_put_together() -> None:
    pieces = [
        SAY_OPENED[:3],
        SAY_OPENED[3:20],
        SAY_OPENED[20:] + "\nearpatch {",
        '"failed": "x"}\n',
    ]
    code = f"[(say(p), time.sleep(0.05)) for p in {pieces!r}]"
    with running(code) as child:
        assert everything(child)[1] == [Told(opened=OPENED), Told(failed="x")]


@given(junk=st.lists(st.binary(max_size=60), max_size=20))
@settings(max_examples=10, deadline=None)
def test_whatever_alsa_writes_between_our_lines_is_no_harm(junk: list[bytes]) -> None:
    lines = [
        b"\n" + part.replace(b"\n", b" ") + b"\n" + SAY_OPENED.encode() + b"\n" for part in junk
    ]
    code = f"[os.write(2, line) for line in {lines!r}]"
    with running(code) as child:
        _, told = everything(child)
        assert child.last_words().isprintable()
    assert told.count(Told(opened=OPENED)) == len(junk)


@pytest.mark.parametrize(
    "word", ["earpatch {", "earpatch [1]", 'earpatch {"opened": 3}', "earpatch "]
)
def test_a_word_that_is_none_is_passed_over(word: str) -> None:
    with running(f"say({word!r} + chr(10)); os.write(1, b'x')") as child:
        assert everything(child) == (b"x", [])


def test_thousands_of_lines_a_second_are_read_and_forgotten() -> None:
    """D01, D11: `pcm wait error` in an endless loop; sound still comes through, memory is flat."""
    flood = "[say(('File descriptor in bad state' + chr(10)) * 40) for _ in iter(int, 1)]"
    code = f"os.write(1, b'x' * 1000); {flood}"
    with running(code) as child:
        data, end = b"", time.monotonic() + 1.0
        while time.monotonic() < end:
            heard = child.wait(0.1)
            data += heard.data
            assert heard.told == []
        assert data == b"x" * 1000
        assert len(child._tail) <= TAIL_LINES
        assert len(child._line) <= READ_BYTES


def test_one_endless_line_is_not_kept() -> None:
    with running("[say('x' * 1000) for _ in iter(int, 1)]") as child:
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            child.wait(0.1)
        assert len(child._line) <= 4_096


def test_a_wait_ends_when_nothing_comes() -> None:
    """D05, D06."""
    with running("time.sleep(60)") as child:
        began = time.monotonic()
        assert child.wait(0.2) == Heard()
        assert 0.1 < time.monotonic() - began < DEADLINE_S


def test_what_is_given_back_comes_again_first() -> None:
    with running("os.write(1, b'later'); time.sleep(60)") as child:
        child.unread(b"early")
        assert child.wait(0.1).data == b"early"
        deadline = time.monotonic() + DEADLINE_S
        while (heard := child.wait(0.1)) == Heard():
            assert time.monotonic() < deadline
        assert heard.data == b"later"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("say('first' + chr(10) + 'Device or resource busy' + chr(10)); sys.exit(1)",
         "exit code 1: Device or resource busy"),
        ("os.kill(os.getpid(), signal.SIGSEGV); time.sleep(9)", "signal 11"),
        ("os.abort()", "signal 6"),
        ("pass", "exit code 0"),
        ("os.close(1); time.sleep(60)", "runs"),
    ],
)  # fmt: skip
def test_how_it_ended_is_told_with_its_last_words(code: str, words: str) -> None:
    with running(code) as child:
        everything(child)
        assert child.last_words() == words


def test_a_control_character_in_its_words_can_t_steer_a_terminal() -> None:
    with running("say('\\x1b[2Jboo' + chr(10))") as child:
        everything(child)
        assert child.last_words() == r"exit code 0: \x1b[2Jboo"


def test_a_child_that_ignores_signals_is_killed() -> None:
    """D01, D05: SIGTERM and SIGINT are no use against a process that hangs."""
    code = (
        "[signal.signal(n, signal.SIG_IGN) for n in (signal.SIGTERM, signal.SIGINT)]; "
        f"say({SAY_OPENED!r} + chr(10)); time.sleep(600)"
    )
    with running(code) as child:
        deadline = time.monotonic() + DEADLINE_S
        while not child.wait(0.1).told:
            assert time.monotonic() < deadline
        pid = child.pid
        child.kill()
        assert not alive(pid)
        child.kill()  # twice is no harm


def test_killing_closes_what_was_open() -> None:
    """A node that opens a microphone a thousand times doesn't run out of descriptors."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        with running("time.sleep(60)"):
            pass
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_program_that_isn_t_there_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        RecordingChild(["/nowhere/arecord"])


def test_its_standard_input_is_empty() -> None:
    """A16: nothing that runs here can wait for somebody to type."""
    with running(
        "os.write(1, json.dumps(sys.stdin.read()).encode())".replace("json", "__import__('json')")
    ) as child:
        assert json.loads(everything(child)[0]) == ""


def test_the_child_prints_nothing_but_sound(tmp_path: Path) -> None:
    """What PortAudio lists goes to standard error, marked, whatever is installed here."""
    command = [sys.executable, "-m", "edge.capture.portaudio_child", "--list"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert done.stdout == b""
    (line,) = [x for x in done.stderr.splitlines() if x.startswith(b"earpatch ")]
    assert isinstance(json.loads(line[9:])["devices"], list)
    assert list(tmp_path.iterdir()) == []
