"""Who holds a busy microphone: with real processes of this computer below a fake /proc/asound."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from edge.capture.cards import Card, list_cards
from edge.capture.holder import holder
from tests.edge.capture.fake_root import HEADPHONES, FakeRoot, Hardware, c_media
from tests.edge.delivery.test_listen import wait_until

DEADLINE_S = 20.0
NOBODY = 999_999_999


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    return FakeRoot(tmp_path).boot({0: HEADPHONES, 1: c_media()})


def microphone(root: FakeRoot) -> Card:
    return list_cards(root.path)[1]


def show_real(root: FakeRoot, *numbers: int) -> None:
    """Processes and threads of this computer, in the fake /proc."""
    for number in {*numbers}:
        (root.path / f"proc/{number}").symlink_to(f"/proc/{number}")


def test_a_closed_device_has_no_holder(root: FakeRoot) -> None:
    assert holder(microphone(root), root=root.path) is None


def named(process: subprocess.Popen[bytes]) -> bool:
    """Whether a child has become what it was started as; until then it has its parent's name."""
    return Path(f"/proc/{process.pid}/comm").read_text(encoding="ascii").strip() == "sleep"


def test_the_holder_is_named_with_its_process(root: FakeRoot) -> None:
    """A12, A13: arecord or PulseAudio has it."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            wait_until(lambda: named(process))
            show_real(root, process.pid)
            root.hold(1, process.pid)
            assert holder(microphone(root), root=root.path) == f"sleep (process {process.pid})"
        finally:
            process.kill()


def test_a_stopped_holder_is_said_to_be_stopped(root: FakeRoot) -> None:
    """A17, D14: an earlier run was suspended with Ctrl-Z and keeps the device."""
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            wait_until(lambda: named(process))
            show_real(root, process.pid)
            root.hold(1, process.pid)
            process.send_signal(signal.SIGSTOP)
            deadline = time.monotonic() + DEADLINE_S
            said = holder(microphone(root), root=root.path)
            while "stopped" not in str(said) and time.monotonic() < deadline:
                time.sleep(0.01)
                said = holder(microphone(root), root=root.path)
            assert said == (
                f"sleep (process {process.pid}, stopped: it holds on until it is resumed or ended)"
            )
        finally:
            process.kill()


def test_a_thread_is_told_as_its_process(root: FakeRoot) -> None:
    """A12: the kernel says which thread opened it; here it is one of our own, opened twice."""
    release = threading.Event()
    thread = threading.Thread(target=release.wait, args=(DEADLINE_S,))
    thread.start()
    try:
        assert thread.native_id is not None
        show_real(root, os.getpid(), thread.native_id)
        root.hold(1, thread.native_id)
        name = Path(f"/proc/{os.getpid()}/comm").read_text(encoding="utf-8").strip()
        expected = f"{name} (process {os.getpid()}, this one)"
        assert holder(microphone(root), root=root.path) == expected
    finally:
        release.set()
        thread.join()


def test_a_holder_that_cannot_be_seen_is_told_by_its_number(root: FakeRoot) -> None:
    """A12: /proc may hide other users' processes."""
    root.hold(1, NOBODY)
    assert holder(microphone(root), root=root.path) == f"process {NOBODY}"


def test_a_holder_outside_the_container_has_the_number_zero(root: FakeRoot) -> None:
    root.hold(1, 0)
    assert holder(microphone(root), root=root.path) == "a process outside this container"


def test_each_device_has_its_own_holder(tmp_path: Path) -> None:
    root = FakeRoot(tmp_path).boot({0: Hardware("Board", "board", inputs=(1, 2))})
    root.hold(0, NOBODY, device=2)
    (card,) = list_cards(root.path)
    assert holder(card, root=root.path) is None
    assert holder(card, 2, root.path) == f"process {NOBODY}"


def test_a_card_that_is_gone_has_no_holder(root: FakeRoot) -> None:
    card = microphone(root)
    root.vanish(1)
    assert holder(card, root=root.path) is None
