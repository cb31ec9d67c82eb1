"""A file system of this computer's own kernel on a `tests.slow.disk`: loop, over FUSE, over NBD."""

from __future__ import annotations

import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.slow.disk import Disk
from tests.slow.machine import why_not

if TYPE_CHECKING:
    from collections.abc import Iterator

DAEMON = "qemu-storage-daemon"
SIZE_BYTES = 192 << 20
TOOL_S, START_S = 60.0, 20.0


def why_no_attached_disk() -> str | None:
    """Why none can be made here."""
    for program in (DAEMON, "losetup", "mke2fs", "e2fsck", "debugfs", "e2undo"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if not Path("/dev/fuse").exists():
        return "there is no FUSE"
    return why_not()


@contextmanager
def attached(folder: Path) -> Iterator[tuple[Disk, Path]]:
    """An ext4 of its own, and where it is mounted; at the end it is unmounted."""
    medium, export, mount = folder / "disk", folder / "export", folder / "mounted"
    with medium.open("wb") as file:
        file.truncate(SIZE_BYTES)
    _do("mke2fs", "-q", "-t", "ext4", "-b", "4096", str(medium))
    export.touch()
    mount.mkdir()
    disk = Disk(medium, folder / "disk.sock")
    node = f"driver=nbd,node-name=disk,server.type=unix,server.path={disk.address}"
    place = f"type=fuse,id=export,node-name=disk,mountpoint={export},writable=on"
    daemon = subprocess.Popen([DAEMON, "--blockdev", node, "--export", place])
    with ExitStack() as stack:
        stack.callback(disk.close)
        stack.callback(daemon.wait, timeout=TOOL_S)
        stack.callback(daemon.terminate)
        _wait_for(export)
        loop = _do("losetup", "--find", "--show", "--direct-io=on", str(export)).strip()
        stack.callback(_do, "losetup", "--detach", loop)
        _do("mount", loop, str(mount))
        stack.callback(_do, "umount", str(mount))
        yield disk, mount


def _wait_for(export: Path) -> None:
    deadline = time.monotonic() + START_S
    while export.stat().st_size != SIZE_BYTES:
        if time.monotonic() > deadline:
            pytest.fail(f"{DAEMON} does not show the disk")
        time.sleep(0.05)


def _do(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TOOL_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
