"""The alarm's file: replaced in one step, read whatever is there, and seldom written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from edge.alarms import commands
from edge.alarms import store as store_module
from edge.alarms.commands import Operator
from edge.alarms.settings import AlarmSettings
from edge.alarms.store import MAX_BYTES, RETRY_S, AlarmStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge.alarms.alarm import Alarm

OPERATOR = Operator("shift leader")
SETTINGS = AlarmSettings()
UTC_S = 1_790_000_000.0
CHILD_S = 60.0


def opened(path: Path) -> tuple[AlarmStore, Alarm, str | None]:
    store = AlarmStore(path)
    alarm, note = store.open(SETTINGS, 0.0, UTC_S)
    return store, alarm, note


def test_an_unacknowledged_alarm_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "alarm.json"
    store, alarm, note = opened(path)
    assert note is None
    alarm.event("E1", 0.0, 1.0, 2.0, 1.0)
    assert store.save(alarm, 1.0, UTC_S) is None
    _, again, note = opened(path)
    assert note is None
    assert again.state.name == "active_unacknowledged"
    assert again.state.waiting == ("E1",)
    assert [entry.name for entry in path.parent.iterdir()] == ["alarm.json"]


def test_it_is_written_once_a_change_and_not_as_time_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I17: an SD card wears out."""
    writes: list[int] = []
    monkeypatch.setattr(store_module, "_replace", lambda _, data: writes.append(len(data)))
    store, alarm, _ = opened(tmp_path / "alarm.json")

    def writes_of(change: Callable[[], object]) -> int:
        before = len(writes)
        change()
        for _ in range(3):
            store.save(alarm, 1.0, UTC_S)
        return len(writes) - before

    assert writes_of(lambda: None) == 0
    assert writes_of(lambda: alarm.event("E1", 0.0, 1.0, 2.0, 1.0)) == 1
    assert writes_of(lambda: alarm.sounding(2.0, 1.5)) == 0
    assert writes_of(lambda: alarm.tick(3.0)) == 0
    assert writes_of(lambda: commands.acknowledge(alarm, None, OPERATOR, 4.0)) == 1
    assert writes_of(lambda: commands.acknowledge(alarm, None, OPERATOR, 4.0)) == 0
    assert writes_of(lambda: alarm.event("E2", 0.0, 1.0, 2.0, 5.0)) == 0  # acknowledged already
    assert writes_of(lambda: commands.shelve(alarm, 60.0, OPERATOR, 6.0)) == 1
    assert writes_of(lambda: commands.shelve(alarm, -1.0, OPERATOR, 6.0)) == 0
    assert writes_of(lambda: alarm.tick(66.0)) == 1
    assert max(writes) < MAX_BYTES


def test_a_full_list_of_ids_fits_what_is_read_back(tmp_path: Path) -> None:
    store, alarm, _ = opened(tmp_path / "alarm.json")
    for number in range(300):
        alarm.event("\u2028" * 200 + str(number), 0.0, 1.0, 2.0, float(number))
    assert store.save(alarm, 300.0, UTC_S) is None
    _, again, note = opened(tmp_path / "alarm.json")
    assert note is None
    assert again.state.waiting_count == 300


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "NUL": lambda path: path.write_bytes(bytes(700)),
    "huge": lambda path: path.write_bytes(b"[" * (MAX_BYTES + 5)),
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to itself": lambda path: path.symlink_to(path),
}


@pytest.mark.parametrize("spoil", UNREADABLE.values(), ids=UNREADABLE)
def test_what_can_not_be_read_is_a_new_alarm_and_a_line(
    tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    """I09, I14, I21."""
    path = tmp_path / "alarm.json"
    spoil(path)
    _, alarm, note = opened(path)
    assert alarm.state.name == "normal"
    assert note is not None
    assert note.startswith(str(path))
    assert len(note.splitlines()) == 1


def test_a_damaged_file_is_replaced_by_the_next_save(tmp_path: Path) -> None:
    path = tmp_path / "alarm.json"
    path.write_bytes(bytes(700))
    store, alarm, _ = opened(path)
    assert store.save(alarm, 0.0, UTC_S) is None
    assert opened(path)[2] is None


UNWRITABLE: dict[str, Callable[[Path], Path]] = {
    "below a file": lambda folder: folder / "file" / "alarm.json",
    "a NUL in its name": lambda folder: folder / "a\0b",
    "a folder is there": lambda folder: folder / "folder",
    "a name too long": lambda folder: folder / ("x" * 300),
}


@pytest.mark.parametrize("spoil", UNWRITABLE.values(), ids=UNWRITABLE)
def test_what_can_not_be_written_is_a_line_and_the_alarm_goes_on(
    tmp_path: Path, spoil: Callable[[Path], Path]
) -> None:
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder" / "full").mkdir(parents=True)
    store, alarm, _ = opened(spoil(tmp_path))
    alarm.event("E1", 0.0, 1.0, 2.0, 1.0)
    reason = store.save(alarm, 1.0, UTC_S)
    assert reason is not None
    assert "can't keep the alarm's state" in reason
    assert len(reason.splitlines()) == 1
    assert alarm.state.active


def test_a_full_disk_is_tried_again_every_half_minute_and_leaves_the_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11."""
    path = tmp_path / "alarm.json"
    store, alarm, _ = opened(path)
    alarm.event("E1", 0.0, 1.0, 2.0, 0.0)
    store.save(alarm, 0.0, UTC_S)
    tries = []

    def full(descriptor: int) -> None:
        tries.append(descriptor)
        raise OSError(28, "No space left on device")

    commands.acknowledge(alarm, None, OPERATOR, 1.0)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        for tenth in range(1000):
            reason = store.save(alarm, 1.0 + tenth / 10, UTC_S)
            assert reason is not None
            assert "No space left" in reason
    assert 3 <= len(tries) <= 1 + 100 / RETRY_S + 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["alarm.json"]
    assert opened(path)[1].state.name == "active_unacknowledged"
    assert store.save(alarm, 200.0, UTC_S) is None
    assert opened(path)[1].state.name == "active_acknowledged"


SAVE_UNTIL_KILLED = """
import sys
from pathlib import Path
from edge.alarms.settings import AlarmSettings
from edge.alarms.store import AlarmStore
store = AlarmStore(Path(sys.argv[1]))
alarm, note = store.open(AlarmSettings(), 0.0, 0.0)
assert note is None, note
for number in range(1_000_000):
    alarm.event(f"E{number}", 0.0, 1.0, 2.0, 0.0)
    assert store.save(alarm, 0.0, 0.0) is None
    print(number, flush=True)
"""


@pytest.mark.parametrize("kill_after", [1, 5, 30])
def test_kill_9_leaves_the_state_that_was_saved_last(tmp_path: Path, kill_after: int) -> None:
    """I10."""
    path = tmp_path / "alarm.json"
    command = [sys.executable, "-c", SAVE_UNTIL_KILLED, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for _ in range(kill_after):
            assert child.stdout.readline()
        child.kill()
        rest = [line for line in child.stdout.read().splitlines() if line]
        assert child.wait(CHILD_S) == -signal.SIGKILL
    _, alarm, note = opened(path)
    assert note is None
    promised = kill_after + len(rest)
    assert alarm.state.waiting_count in {promised, promised + 1}
