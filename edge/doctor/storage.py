"""Disks: room, whether they can be written, what a power cut leaves, and how worn an eMMC is."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge.doctor.check import Check, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit

MEGA, GIGA = 1_000_000, 1_000_000_000
LOW_BYTES, FULL_BYTES = 500 * MEGA, 50 * MEGA
FEW_FILES = 1_000
MUCH_A_DAY_BYTES = 2 * GIGA  # a cheap card of 32 GB stands about 30 TB: 40 years
VOLATILE = {"tmpfs", "ramfs"}
ROOM = "make room: old clips, logs (journalctl --vacuum-size=100M), packages (apt clean)"
# JEDEC eMMC 5.0, EXT_CSD 268, 269 and 267
WORN_STEP, WORN_OUT_STEP, TENTH = 9, 11, 10
PRE_END = {2: "warning", 3: "urgent"}
REPLACE = "copy the state folder and replace the card"


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    for name, folder in _folders(visit):
        yield from disk_checks(name, folder, visit.root)
    yield from wear_checks(visit.root)
    yield _written(visit)


def _folders(visit: Visit) -> Iterator[tuple[str, Path]]:
    """One for each file system that the node uses."""
    wanted = [("disk", visit.root)]
    if visit.settings is not None:
        wanted.insert(0, ("state disk", Path(visit.settings.node.state_dir)))
        inputs = visit.settings.all_inputs()
        wanted += [("bundle disk", Path(each.bundle.path)) for each in inputs]
    seen = set()
    for name, path in wanted:
        folder = next(each for each in (path, *path.parents) if each.exists())
        device = folder.stat().st_dev
        if device not in seen:
            seen.add(device)
            yield name, folder


def disk_checks(name: str, folder: Path, root: Path) -> Iterator[Check]:
    """Room and kind of one file system."""
    status = os.statvfs(folder)
    free, total = status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize
    kind = file_system(folder, root)
    text = f"{folder}: {free / GIGA:.1f} of {total / GIGA:.1f} GB free" + (
        f", {kind}" if kind else ""
    )
    if status.f_flag & os.ST_RDONLY:
        todo = "sudo mount -o remount,rw; if it was mounted read-only by itself, the card is dying"
        yield Check(name, "failed", f"{text}, READ-ONLY", todo)
    elif kind in VOLATILE:
        todo = "put [node] state_dir on a real disk: a power cut loses what waits there"
        yield Check(name, "warning", f"{text}: memory, not a disk", todo)
    else:
        yield room_check(name, text, free, status.f_favail if status.f_files else None)


def room_check(name: str, text: str, free_bytes: int, free_files: int | None) -> Check:
    """Whether there is room for data and for files; None where files aren't counted."""
    if free_bytes < FULL_BYTES:
        return Check(name, "failed", f"{text}: full", ROOM)
    if free_files is not None and free_files < FEW_FILES:
        text = f"{text}, but room for only {free_files} more files"
        return Check(name, "failed", text, "delete many small files")
    if free_bytes < LOW_BYTES:
        return Check(name, "warning", f"{text}: little", ROOM)
    return Check(name, "ok", text)


def file_system(folder: Path, root: Path) -> str | None:
    """Its kind, as the kernel lists what is mounted."""
    device = folder.stat().st_dev
    place = f"{os.major(device)}:{os.minor(device)}"
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == place and "-" in fields:  # noqa: PLR2004
            return fields[fields.index("-") + 1]
    return None


def wear_checks(root: Path) -> Iterator[Check]:
    """Of each SD card and eMMC; few SD cards tell."""
    cards = [
        block
        for block in sorted((root / "sys/block").glob("mmcblk*"))
        if re.fullmatch(r"mmcblk\d+", block.name)
    ]
    for block in cards:
        yield wear_check(
            f"{block.name} {read_text(block / 'device/name') or ''}".strip(),
            read_text(block / "device/life_time"),
            read_text(block / "device/pre_eol_info"),
        )
    if not cards:
        yield Check("card wear", "skipped", "no SD card and no eMMC here")


def wear_check(name: str, life_time: str | None, pre_eol: str | None) -> Check:
    """From the card's own estimates.

    Args:
        name: of the card.
        life_time: as "0x02 0x01", in tenths of its life, of two kinds of memory.
        pre_eol: as "0x01", about its spare blocks.
    """
    steps = [step for step in _numbers(life_time) if step]
    if not steps:
        return Check("card wear", "skipped", f"{name} doesn't tell")
    worst, spare = max(steps), max(_numbers(pre_eol), default=0)
    used = f"{(worst - 1) * TENTH}-{worst * TENTH} % of its life used"
    if worst >= WORN_OUT_STEP or PRE_END.get(spare) == "urgent":
        return Check("card wear", "failed", f"{name}: worn out", f"{REPLACE} now")
    if worst >= WORN_STEP or PRE_END.get(spare) == "warning":
        return Check("card wear", "warning", f"{name}: {used}", f"{REPLACE} soon")
    return Check("card wear", "ok", f"{name}: {used}")


def _numbers(text: str | None) -> list[int]:
    words = (text or "").split()
    return [int(word, 16) for word in words if re.fullmatch(r"0x[0-9a-fA-F]+", word)]


def _written(visit: Visit) -> Check:
    """What a running node has counted."""
    health = visit.snapshot.health if visit.snapshot else None
    if health is None or health.bytes_written_a_day is None:
        return Check("writing", "skipped", "known only while the node runs")
    hours = min(24.0, health.uptime_s / 3600)
    text = f"the node wrote {health.bytes_written_a_day / MEGA:.1f} MB in {hours:.1f} h"
    if health.bytes_written_a_day > MUCH_A_DAY_BYTES:
        todo = "keep fewer clips ([clips]), or raise the alarm level: there are many events"
        return Check("writing", "warning", text, todo)
    return Check("writing", "ok", text)
