"""The writer: nobody waits for it, nothing stops it, and what it can't do is counted."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile

from edge.clips import picture, retention, writer
from edge.clips.complaint import Complaint
from edge.clips.flac import flac_bytes
from edge.clips.names import sound_path
from edge.clips.retention import Limits
from edge.clips.writer import MOST_WAITING, MOST_WAITING_BYTES, NICENESS, ClipWriter
from tests.edge.clips.sounds import DEADLINE_S, NOW_S, clip, own_files, ulid, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.clips.clip import Clip

LIMITS = Limits(1e9, 1_000, 10**9, 0)
IDS = [ulid(NOW_S + i) for i in range(200)]
PNG_HEAD = b"\x89PNG\r\n"


class Gate:
    """Stands in for the encoder, and lets a clip through only when it is open."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.reached = threading.Event()

    def __call__(self, clip: Clip) -> bytes:
        """Encode, once the gate is open."""
        self.reached.set()
        assert self.open.wait(DEADLINE_S)
        return flac_bytes(clip)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A disk that is slow until it is told not to be."""
    found = Gate()
    monkeypatch.setattr(writer, "flac_bytes", found)
    yield found
    found.open.set()


@pytest.fixture
def quick_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes the longest; where only numbers count, a file with its name will do."""
    monkeypatch.setattr(picture, "clip_picture", lambda _: PNG_HEAD)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 512 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "clips-test", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def started(folder: Path, limits: Limits = LIMITS) -> ClipWriter:
    return ClipWriter(folder, limits, lambda: NOW_S)


def fill(ballast: Path, *, but_bytes: int) -> None:
    """Take all of a disk, but for so much."""
    with ballast.open("wb", buffering=0) as file:
        with pytest.raises(OSError, match="No space"):
            deque(file.write(bytes(4_096)) for _ in range(1_000))
        file.truncate(file.tell() - but_bytes)


def write(found: ClipWriter, *ids: str) -> None:
    """Bring clips, and wait until each of them was written, or not."""
    for each in ids:
        before = found.status
        found.put(clip(each))
        until(lambda before=before: found.status != before)  # type: ignore[misc]


def test_a_clip_is_a_flac_and_a_picture_named_by_event_and_day(tmp_path: Path) -> None:
    found = started(tmp_path / "clips")
    found.put(clip(IDS[0], 2.0))
    found.close(DEADLINE_S)
    path = sound_path(tmp_path / "clips", IDS[0])
    assert own_files(tmp_path) == [
        f"clips/2025-11-25/{IDS[0]}.flac",
        f"clips/2025-11-25/{IDS[0]}.png",
    ]
    samples, rate_hz = soundfile.read(path, dtype="int16")
    assert samples.tolist() == clip(IDS[0], 2.0).sound().tolist()
    assert rate_hz == 8_000
    assert path.with_suffix(".png").read_bytes().startswith(PNG_HEAD)
    assert found.latest("main") == path
    assert found.latest("other") is None
    status = found.status
    assert (status.written, status.dropped, status.failed, status.count) == (1, 0, 0, 1)
    assert status.bytes == sum(p.stat().st_size for p in path.parent.iterdir())


@pytest.mark.usefixtures("quick_picture")
def test_a_full_queue_loses_the_oldest_and_nobody_waits(tmp_path: Path, gate: Gate) -> None:
    """A slow disk costs clips, never events."""
    found = started(tmp_path)
    found.put(clip(IDS[0]))
    assert gate.reached.wait(DEADLINE_S), "now the writer is busy"
    extra = 7
    for each in IDS[1 : 1 + MOST_WAITING + extra]:
        found.put(clip(each))  # returns, though nothing moves
    assert found.status.dropped == extra
    gate.open.set()
    found.close(DEADLINE_S)
    stems = {Path(name).stem for name in own_files(tmp_path)}
    assert stems == {IDS[0], *IDS[1 + extra : 1 + MOST_WAITING + extra]}
    assert found.status.written == MOST_WAITING + 1


def test_the_queue_is_bounded_in_bytes_too_and_one_clip_always_fits(
    tmp_path: Path, gate: Gate
) -> None:
    found = started(tmp_path)
    found.put(clip(IDS[0]))
    assert gate.reached.wait(DEADLINE_S)
    long_s = MOST_WAITING_BYTES / 2 / 8_000 * 0.4
    for each in IDS[1:4]:  # two of them fit
        found.put(clip(each, long_s))
    assert found.status.dropped == 1
    found.put(clip(IDS[4], 3 * long_s))  # larger than the queue by itself
    assert found.status.dropped == 3
    found.close(0.01)
    assert found.status.dropped == 4


def test_closing_has_a_deadline_and_counts_what_is_lost(tmp_path: Path, gate: Gate) -> None:
    """E12: a disk that never answers doesn't keep the node from ending."""
    found = started(tmp_path)
    for each in IDS[:3]:
        found.put(clip(each))
    assert gate.reached.wait(DEADLINE_S)
    began = time.monotonic()
    found.close(0.1)
    assert time.monotonic() - began < DEADLINE_S
    assert found.status.dropped == 2
    found.put(clip(IDS[5]))
    assert found.status.dropped == 3, "it is over"


@pytest.mark.usefixtures("quick_picture")
def test_retention_keeps_up_with_production(tmp_path: Path) -> None:
    """I06: however many clips come, at most 20 more than allowed lie there at any time."""
    found = started(tmp_path, LIMITS._replace(max_count=5))
    most = 0
    for each in IDS[:90]:
        write(found, each)
        most = max(most, len({Path(name).stem for name in own_files(tmp_path)}))
    found.close(DEADLINE_S)
    assert found.status.written == 90
    assert most <= 5 + writer.TIDY_CLIPS + 1
    assert found.status.count <= 5 + writer.TIDY_CLIPS


def test_old_clips_are_deleted_at_the_start_already(tmp_path: Path) -> None:
    first = started(tmp_path)
    write(first, *IDS[:3])
    first.close(DEADLINE_S)
    second = started(tmp_path, LIMITS._replace(max_count=1))
    until(lambda: second.status.count == 1)
    assert {Path(name).stem for name in own_files(tmp_path)} == {IDS[2]}
    second.close(DEADLINE_S)


def free(monkeypatch: pytest.MonkeyPatch, free_bytes: int) -> None:
    monkeypatch.setattr(writer, "free_bytes", lambda _: free_bytes)
    monkeypatch.setattr(retention, "free_bytes", lambda _: free_bytes)


def test_when_little_is_free_no_clip_is_written_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """I24: low-disk mode; and what is there makes room for what is not ours."""
    found = started(tmp_path, LIMITS._replace(min_free_bytes=1_000_000))
    free(monkeypatch, 5_000_000)
    write(found, IDS[0])
    until(lambda: found.latest("main"))
    free(monkeypatch, 900_000)
    with caplog.at_level(logging.WARNING):
        for each in IDS[1:6]:
            write(found, each)
        until(lambda: found.status.dropped == 5)
    assert found.status.low_disk
    assert found.latest("main") is None
    assert own_files(tmp_path) == []
    assert len([line for line in caplog.messages if line.startswith("no clips are written")]) == 1
    free(monkeypatch, 5_000_000)
    write(found, IDS[6])
    found.close(DEADLINE_S)
    assert not found.status.low_disk
    assert (found.status.written, found.status.dropped, found.status.failed) == (2, 5, 0)


def test_on_a_small_disk_old_clips_make_room_for_new_ones_for_ever(small_disk: Path) -> None:
    """I06, I24: the free space that was asked for stays free, and the newest clip is there."""
    found = started(small_disk, LIMITS._replace(min_free_bytes=200_000))
    for each in IDS[:30]:  # in all more than the disk holds
        found.put(clip(each))
        until(lambda each=each: found.latest("main") == sound_path(small_disk, each))  # type: ignore[misc]
        assert retention.free_bytes(small_disk) >= 200_000
    found.close(DEADLINE_S)
    assert (found.status.written, found.status.dropped, found.status.failed) == (30, 0, 0)
    assert found.latest("main") == sound_path(small_disk, IDS[29])


def test_a_full_disk_is_counted_and_leaves_no_half_files(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11: ENOSPC in the middle of a file; once there is room again, clips are written again."""
    ballast = small_disk / "ballast"
    found = started(small_disk)
    fill(ballast, but_bytes=8_192)
    monkeypatch.setattr(writer, "free_bytes", lambda _: 10**9)  # another program was quicker
    write(found, IDS[0], IDS[1])
    assert (found.status.failed, found.status.dropped) == (2, 0)
    assert own_files(small_disk) == ["ballast"]
    ballast.unlink()
    write(found, IDS[2])
    found.close(DEADLINE_S)
    assert found.status.written == 1
    assert own_files(small_disk) == [
        f"2025-11-25/{IDS[2]}.flac",
        f"2025-11-25/{IDS[2]}.png",
    ]


@pytest.mark.usefixtures("quick_picture")
def test_a_file_has_its_name_only_when_it_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11: who looks at any moment finds a whole file, or none."""
    named: list[tuple[bool, int]] = []
    replace = Path.replace

    def watched(path: Path, target: Path) -> Path:
        named.append((target.exists(), path.stat().st_size))
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", watched)
    found = started(tmp_path)
    found.put(clip(IDS[0]))
    found.close(DEADLINE_S)
    path = sound_path(tmp_path, IDS[0])
    sizes = [path.stat().st_size, path.with_suffix(".png").stat().st_size]
    assert named == [(False, size) for size in sizes]


def test_a_folder_that_is_removed_is_made_again(tmp_path: Path) -> None:
    found = started(tmp_path / "clips")
    write(found, IDS[0])
    until(lambda: found.latest("main"))
    shutil.rmtree(tmp_path / "clips")
    assert found.latest("main") is None
    write(found, IDS[1])
    found.close(DEADLINE_S)
    assert found.latest("main") == sound_path(tmp_path / "clips", IDS[1])


def test_a_folder_that_cannot_be_made_is_told_once_and_raises_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "clips").write_text("a file")
    with caplog.at_level(logging.WARNING):
        found = started(tmp_path / "clips")
        write(found, *IDS[:20])
        found.close(DEADLINE_S)
    assert found.status.failed == 20
    assert caplog.messages == ["can't write a clip: File exists"]


def test_a_picture_that_fails_leaves_the_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Clip) -> bytes:
        raise MemoryError

    monkeypatch.setattr(picture, "clip_picture", broken)
    found = started(tmp_path)
    found.put(clip(IDS[0]))
    found.close(DEADLINE_S)
    assert (found.status.written, found.status.failed) == (1, 1)
    assert own_files(tmp_path) == [f"2025-11-25/{IDS[0]}.flac"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads have no priority of their own")
def test_the_thread_steps_back_behind_all_others(tmp_path: Path, gate: Gate) -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)
    found = started(tmp_path)
    found.put(clip(IDS[0]))
    assert gate.reached.wait(DEADLINE_S)
    native_id = found._thread.native_id
    assert native_id is not None
    assert os.getpriority(os.PRIO_PROCESS, native_id) == max(before, NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
    gate.open.set()
    found.close(DEADLINE_S)


def test_ten_thousand_equal_errors_are_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    """I13: the log can't fill the disk that was full already."""
    now_s = 0.0
    complaint = Complaint(lambda: now_s)
    with caplog.at_level(logging.INFO):
        for i in range(10_000):
            now_s += 0.1
            complaint.say("can't write a clip", "disk full" if i < 9_000 else f"error {i}")
            if i % 3 == 0:
                complaint.over("can't draw a clip")
    assert len(caplog.messages) <= 20
    assert caplog.messages[0] == "can't write a clip: disk full"


def test_trouble_that_is_over_is_told_and_news_afterwards(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    complaint = Complaint(lambda: now_s)
    with caplog.at_level(logging.INFO):
        complaint.say("can't write a clip", "disk full")
        complaint.over("can't write a clip")
        complaint.over("can't write a clip")
        now_s += 61.0
        complaint.say("can't write a clip", "disk full")
    assert caplog.messages == [
        "can't write a clip: disk full",
        "can't write a clip: that is over",
        "can't write a clip: disk full",
    ]
