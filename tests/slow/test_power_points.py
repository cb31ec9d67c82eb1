"""Slow evidence: at whichever request of the disk the power goes. Part of `make power-cuts`.

`test_power.py` cuts for real, and boots; here the disk's log of an installation and a calibration
in the emulated computer is ended before each of its requests, four times: with none of
what no flush confirmed, with all of it, and twice with a part.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from edge.bundle_store import current_name
from edge.bundle_versions import list_versions
from edge.errors import EarpatchError
from tests.slow.crash import crashes, take_out
from tests.slow.emulator import why_no_emulator
from tests.slow.plant import KINDS, SEED, Course
from tests.slow.site import STATE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.slow.disk import Request
    from tests.slow.plant import Plant

pytestmark = [
    pytest.mark.power,
    pytest.mark.skipif(why_no_emulator() is not None, reason=why_no_emulator() or ""),
]

LUCKS = [0.0, 1.0, 0.5, 0.9]  # chances of a write that no flush confirmed
SETTLE_S, LONG_SETTLE_S = 8.0, 20.0  # until the file system writes by itself


@dataclass
class Log:
    """Of the disk, while commands were carried out; what is true when, by number of request."""

    requests: list[Request]
    events: int  # in the outbox when it begins
    allowed: list[
        tuple[int, tuple[str, ...], str]
    ]  # from when on which version, and what is being done

    def at(self, request: int) -> tuple[tuple[str, ...], str]:
        """Which versions may be current after a cut instead of that request; what it fell into."""
        _, versions, phase = [each for each in self.allowed if each[0] <= request][-1]
        return versions, phase


def carry_out(plant: Plant, kinds: Sequence[str], *, synced: bool) -> Log:
    """Commands, one after another, none of them cut; then the plug is pulled, and nothing lost."""
    found, _ = plant.come_up()
    log, current = Log(plant.disk.record(), found["events"][0], []), found["current"]
    for kind in kinds:
        course = Course(kind, "")
        notes = [(len(log.requests), course.phase)]
        for said in plant.computer.steps(*plant.command(kind, current), synced=synced):
            course.take(said)
            notes.append((len(log.requests), course.phase))
        for number, phase in notes:
            ended = phase.startswith("6")
            versions = (course.name,) if ended else (current, course.name)
            log.allowed.append((number, versions, f"{kind}, {phase[2:]}"))
        current = course.name
        time.sleep(SETTLE_S if synced else LONG_SETTLE_S)
    plant.disk.die()
    plant.computer.off()
    return log


def fault(state: Path, versions: Sequence[str], events: int) -> str:
    """What is wrong with a node's state; nothing if it is as it should be."""
    now = current_name(state / "bundle")
    if now is None or now not in versions:
        return f"current is {now}"
    try:
        states: dict[str, str] = {each.name: each.state for each in list_versions(state / "bundle")}
    except EarpatchError as error:
        return str(error)
    if "damaged" in states.values() or states[now] not in {"current", "on trial"}:
        return str(states)
    with closing(sqlite3.connect(state / "outbox.sqlite")) as database:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        (count,) = database.execute("SELECT count(*) FROM events").fetchone()
    return "" if verdict == "ok" and count >= events else f"outbox {verdict}, {count} events"


def cut_everywhere(plant: Plant, log: Log, folder: Path) -> tuple[Counter[str], list[str]]:
    """The log ended before each request: how often what was found when, and all faults."""
    dice, seen, faults = random.Random(SEED), Counter[str](), []
    waiting = lost = torn = 0
    for crash in crashes(plant.disk.medium, list(log.requests), dice, LUCKS):
        state = take_out(plant.disk.medium, f"/{STATE}", folder)
        versions, phase = log.at(crash.number)
        if why := fault(state, versions, log.events):
            faults.append(f"request {crash.number} in {phase}, {crash.cut}: {why}")
        which = "new" if current_name(state / "bundle") == versions[-1] else "old"
        seen[f"{phase}: {which} version"] += 1
        waiting += crash.cut.waiting
        lost += crash.cut.lost
        torn += crash.cut.torn
    print(f"\nseed {SEED}: {len(log.requests)} requests to the disk, {seen.total()} cuts, "
          f"{len(faults)} with damage; of {waiting} unflushed writes {lost} lost, "
          f"{torn} of them torn")  # fmt: skip
    return seen, faults


def test_a_cut_at_any_request_of_the_disk_leaves_the_old_version_or_the_new_one(
    plant: Plant, tmp_path: Path
) -> None:
    """I12, I23: and what was told to be done lasts from then on."""
    seen, faults = cut_everywhere(plant, carry_out(plant, KINDS, synced=True), tmp_path / "found")
    for phase, count in sorted(seen.items()):
        print(f"  {count:4} {phase}")
    assert faults == []


def test_without_a_single_sync_cuts_do_damage(plant: Plant, tmp_path: Path) -> None:
    """So that the tests above can fail: the same installation, but fsync does nothing."""
    _, faults = cut_everywhere(
        plant, carry_out(plant, ["install"], synced=False), tmp_path / "found"
    )
    print(*faults[:3], sep="\n")
    assert faults
