"""Whether the node runs, and if it does, what it says about itself."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge.doctor.check import Check, read_text
from edge.errors import EarpatchError
from edge.status.client import NotRunningError, first_snapshot
from edge.status.snapshot import SOCKET_NAME
from edge.status.text import condition, delivery_line, duration, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit
    from edge.status.snapshot import Snapshot

LOCK_NAME = "outbox.lock"
# fs/locks.c: "1: FLOCK  ADVISORY  WRITE 812 b3:02:3132916 0 EOF", device numbers in hexadecimal
_LOCK = re.compile(r"\d+: FLOCK +ADVISORY +WRITE (-?\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ")


def checks(visit: Visit) -> Iterator[Check]:
    """All of them; what a running node says is for the other checks."""
    if visit.settings is None:
        yield Check("node", "skipped", "no configuration")
        return
    folder = Path(visit.settings.node.state_dir)
    holder = lock_holder(folder / LOCK_NAME, visit.root)
    visit.running = holder is not None
    try:
        visit.snapshot = first_snapshot(folder / SOCKET_NAME)
    except NotRunningError:
        yield _silent(holder)
        return
    except EarpatchError as error:
        visit.running = True
        yield Check("node", "warning" if holder is None else "failed", str(error))
        return
    visit.running = True
    yield from _running(visit.snapshot)


def lock_holder(path: Path, root: Path) -> int | None:
    """The process that holds the state folder, from the kernel's list: nothing is locked for it."""
    try:
        status = path.stat()
    except OSError:
        return None
    place = os.major(status.st_dev), os.minor(status.st_dev), status.st_ino
    for found in _LOCK.finditer(read_text(root / "proc/locks") or ""):
        if (int(found[2], 16), int(found[3], 16), int(found[4])) == place:
            return int(found[1])
    return None


def _silent(holder: int | None) -> Check:
    if holder is None:
        return Check("node", "ok", "not running, so its microphones and files are free")
    text = f"process {holder} holds the state folder, but tells no status"
    return Check("node", "warning", text, "see its log; it may just be starting")


def _running(snapshot: Snapshot) -> Iterator[Check]:
    text = f"runs for {duration(snapshot.health.uptime_s)}; {delivery_line(snapshot)}"
    trouble = snapshot.broker_trouble or snapshot.health.trouble
    yield Check("node", "warning" if trouble else "ok", text, "see below" if trouble else "")
    for number, health in enumerate(snapshot.health.inputs):
        bad = health.state not in {"hearing", "starting", "ended"} or health.overloaded
        text = f"{verdict(snapshot, number)}, {condition(snapshot, number)}"
        todo = "docs/microphones.md says what each state means" if bad else ""
        yield Check("input", "failed" if bad else "ok", text, todo)
