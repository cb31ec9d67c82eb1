"""Disks: room, kinds of file systems, wear."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from edge.delivery import examples
from edge.doctor.check import State, Visit
from edge.doctor.storage import (
    FULL_BYTES,
    LOW_BYTES,
    checks,
    disk_checks,
    file_system,
    room_check,
    wear_check,
    wear_checks,
)
from tests.edge.doctor.visits import only, put, says, visit_to
from tests.edge.status.snapshots import snapshot

if TYPE_CHECKING:
    from pathlib import Path


def mounted_as(root: Path, folder: Path, kind: str) -> Path:
    device = folder.stat().st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    line = f"36 35 {place} / / rw,noatime shared:1 - {kind} /dev/mmcblk0p2 rw\n"
    put(root, "proc/self/mountinfo", f"21 35 0:19 / /sys rw - sysfs sysfs rw\n{line}")
    return root


@pytest.mark.parametrize(
    ("free_bytes", "free_files", "state"),
    [
        (FULL_BYTES - 1, 10_000, "failed"),
        (FULL_BYTES, 10_000, "warning"),
        (LOW_BYTES, 10_000, "ok"),
        (LOW_BYTES, 999, "failed"),
        (LOW_BYTES, None, "ok"),
    ],
)
def test_room_for_data_and_for_files(free_bytes: int, free_files: int | None, state: State) -> None:
    says(room_check("disk", "/var", free_bytes, free_files), state, "/var")


def test_memory_is_no_disk(tmp_path: Path) -> None:
    """A state folder on tmpfs loses its events with the power."""
    root = mounted_as(tmp_path, tmp_path, "tmpfs")
    says(only(disk_checks("disk", tmp_path, root), "disk"), "warning", "power cut", "state_dir")


def test_a_read_only_file_system_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel remounts a card that fails."""
    real = os.statvfs(tmp_path)
    read_only = os.statvfs_result([*real[:8], real.f_flag | os.ST_RDONLY, real.f_namemax])
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    says(only(disk_checks("disk", tmp_path, tmp_path), "disk"), "failed", "READ-ONLY", "remount")


def test_the_kind_of_this_computer_s_own_disk_is_known(tmp_path: Path) -> None:
    assert file_system(tmp_path, tmp_path) is None
    assert file_system(mounted_as(tmp_path, tmp_path, "ext4"), tmp_path) == "ext4"


def test_each_file_system_is_looked_at_once(tmp_path: Path) -> None:
    visit = visit_to(tmp_path, root=tmp_path)
    names = [check.name for check in checks(visit)]
    assert names == ["state disk", "card wear", "writing"], "the folder needn't be there yet"


@pytest.mark.parametrize(
    ("life_time", "pre_eol", "state", "words"),
    [
        ("0x01 0x01", "0x01", "ok", "0-10 %"),
        ("0x02 0x04", "0x01", "ok", "30-40 %"),
        ("0x09 0x01", "0x01", "warning", "80-90 %"),
        ("0x0b 0x01", "0x01", "failed", "worn out"),
        ("0x01 0x01", "0x02", "warning", "soon"),
        ("0x01 0x01", "0x03", "failed", "now"),
        ("0x00 0x00", "0x00", "skipped", "doesn't tell"),
        (None, None, "skipped", "doesn't tell"),
        ("rubbish", "?", "skipped", "doesn't tell"),
    ],
)
def test_an_emmc_s_own_estimate_of_its_life(
    life_time: str | None, pre_eol: str | None, state: State, words: str
) -> None:
    says(wear_check("mmcblk0", life_time, pre_eol), state, words)


def test_cards_are_found_and_their_partitions_are_not(tmp_path: Path) -> None:
    assert [check.state for check in wear_checks(tmp_path)] == ["skipped"]
    put(tmp_path, "sys/block/mmcblk0/device/name", "SC32G\n")
    put(tmp_path, "sys/block/mmcblk0/device/life_time", "0x03 0x01\n")
    put(tmp_path, "sys/block/mmcblk0boot0/device/life_time", "0x0b 0x0b\n")
    (check,) = wear_checks(tmp_path)
    says(check, "ok", "mmcblk0 SC32G", "20-30 %")


@pytest.mark.parametrize(("written", "state"), [(3_000_000, "ok"), (3_000_000_000, "warning")])
def test_what_a_running_node_has_written_is_told(
    tmp_path: Path, written: int, state: State
) -> None:
    replace = msgspec.structs.replace
    health = replace(examples.health(), bytes_written_a_day=written)
    visit = Visit(None, tmp_path, snapshot=replace(snapshot(), health=health))
    says(only(checks(visit), "writing"), state, f"{written / 1e6:.1f} MB")
