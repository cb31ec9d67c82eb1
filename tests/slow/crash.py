"""Every cut that could have come: the log of a disk, ended before each of its requests.

What is on the disk then is looked at from outside: e2fsck replays the journal, as it does at boot,
debugfs takes out the files, e2undo takes the replay back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from tests.slow.disk import Cut, Request, Write, survivors

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator
    from pathlib import Path

TOOL_S = 120.0
REPLAYED = {0, 1}  # e2fsck: nothing to do, or done


class Crash(NamedTuple):
    """A cut that is on the disk while this is looked at."""

    number: int  # of the request that was not answered any more
    cut: Cut


def crashes(
    image: Path, log: list[Request], dice: random.Random, lucks: list[float]
) -> Iterator[Crash]:
    """Put each crash on the disk, one after another; at the end it is as it was.

    Args:
        image: the disk, as it is after all of the log.
        log: its requests.
        dice: decide which writes survive.
        lucks: chances to survive; each request has a crash with each of them.
    """
    disk = os.open(image, os.O_RDWR | os.O_CLOEXEC)
    try:
        _write_back(disk, [request for request in log if request is not None])
        cache: list[Write] = []
        for number, request in enumerate(log):
            for luck in lucks:
                left, cut = survivors(cache, dice, luck)
                undo = _write(disk, left)
                yield Crash(number, cut)
                _write_back(disk, undo)
            if request is not None:
                cache.append(request)
                continue
            _write(disk, cache)
            cache = []
        _write(disk, cache)
    finally:
        os.close(disk)


def take_out(image: Path, folder: str, target: Path) -> Path:
    """What a computer that boots now would find in a folder; the disk stays as it is."""
    undo = target.with_suffix(".undo")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    undo.unlink(missing_ok=True)
    code, said = _tool("e2fsck", "-y", "-E", "journal_only", "-z", str(undo), str(image))
    assert code in REPLAYED, said
    try:
        code, said = _tool("debugfs", "-R", f"rdump {folder} {target}", str(image))
        assert code == 0, said
    finally:
        if undo.exists():
            code, said = _tool("e2undo", str(undo), str(image))
            assert code == 0, said
    return target / folder.rpartition("/")[2]


def _write(disk: int, writes: list[Write]) -> list[Write]:
    """Returns the same writes, knowing what was there before."""
    done = []
    for write in writes:
        before = os.pread(disk, len(write.data), write.offset)
        os.pwrite(disk, write.data, write.offset)
        done.append(Write(write.offset, before, write.data, write.lasting))
    return done


def _write_back(disk: int, writes: list[Write]) -> None:
    for write in reversed(writes):
        os.pwrite(disk, write.before, write.offset)


def _tool(*command: str) -> tuple[int, str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, check=False)
    return done.returncode, f"{command[0]}: {done.stdout}{done.stderr}"
