"""Slow evidence: at whichever request of the disk the power goes. Part of `make power-cuts`.

`test_power.py` cuts for real, and boots; here the log of a disk, kept while bundles are installed
and calibrated on it and a node keeps events, is ended before each of its requests, four times: with
none of what no flush confirmed, with all of it, and twice with a part.
"""

from __future__ import annotations

import json
import random
import socket
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from edge.bundle_store import current_name
from edge.bundle_versions import list_versions
from edge.errors import EarpatchError
from edge.install import pack_bundle
from edge.signing import make_keys
from tests.slow.attached import attached, why_no_attached_disk
from tests.slow.crash import crashes, take_out
from tests.slow.machine import PROJECT
from tests.slow.plant import SEED, Course

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Site
    from tests.slow.disk import Request

pytestmark = [
    pytest.mark.power,
    pytest.mark.skipif(why_no_attached_disk() is not None, reason=why_no_attached_disk() or ""),
]

LUCKS = [0.0, 1.0, 0.5, 0.9]  # chances of a write that no flush confirmed
SETTLE_S = 8.0  # until the file system writes by itself
COMMAND_S, NODE_S = 300.0, 60.0


class Moment(NamedTuple):
    """What is true from a request of the log on."""

    request: int
    versions: tuple[str, ...]  # one of which has to be current; the newest last
    events: int  # that the outbox holds at least
    phase: str


class Recording(NamedTuple):
    """A disk's log, and what happened."""

    medium: Path
    requests: list[Request]
    moments: list[Moment]

    def at(self, request: int) -> Moment:
        """Of a cut that comes instead of that request."""
        return [each for each in self.moments if each.request <= request][-1]


def events_in(state: Path) -> int:
    """How many wait in the outbox, which has to be whole."""
    with closing(sqlite3.connect(state / "outbox.sqlite")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return int(database.execute("SELECT count(*) FROM events").fetchone()[0])


def keeps_events(state: Path) -> bool:
    """Whether the node has begun to."""
    try:
        return (state / "outbox.sqlite").exists() and events_in(state) > 0
    except sqlite3.OperationalError:  # it is just being made
        return False


@contextmanager
def node_beside(state: Path, site: Site, folder: Path) -> Iterator[None]:
    """A node that keeps its events on that disk; no broker takes them."""
    config = folder / "node.toml"
    config.write_text(
        f'[node]\nid = "n"\nstate_dir = "{state}"\n[bundle]\npath = "{site.bundle_path}"\n'
        f'[source]\nkind = "file"\npath = "{site.day}"\nrealtime = true\n'
        '[mqtt]\nurl = "mqtt://127.0.0.1:9"\ndrain_s = 600\n'
    )
    command = [sys.executable, "-m", "convert.main", "run", "--config", str(config)]
    node = subprocess.Popen(command, cwd=PROJECT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + NODE_S
        while not keeps_events(state):
            assert time.monotonic() < deadline, "the node keeps no event"
            time.sleep(0.2)
        yield
    finally:
        node.terminate()
        node.wait(timeout=NODE_S)


def steps(bundle: Path, arguments: list[str], *, synced: bool) -> Iterator[dict[str, object]]:
    """A command's steps, and at last its exit code; a step is taken once the next is asked for."""
    ours, theirs = socket.socketpair()
    ours.settimeout(COMMAND_S)
    command = [sys.executable, "-m", "tests.slow.watched", str(theirs.fileno()), str(bundle)]
    command += ["synced" if synced else "unsynced", *arguments]
    with ours, ours.makefile("rb") as told:
        process = subprocess.Popen(
            command, cwd=PROJECT, pass_fds=[theirs.fileno()], stdout=subprocess.DEVNULL
        )
        theirs.close()
        for line in told:
            yield json.loads(line)
            ours.sendall(b"go\n")
        yield {"code": process.wait(timeout=COMMAND_S), "out": ""}


def record(site: Site, folder: Path, *, synced: bool) -> Recording:
    """Install a signed archive over a bundle, then calibrate, beside a node; nothing is cut yet."""
    key, _ = make_keys(folder / "keys")
    archive = folder / "other.earpatch"
    with attached(folder) as (disk, mounted):
        state, bundle = mounted / "state", mounted / "state" / "bundle"
        state.mkdir()
        calibrate = ["calibrate", str(bundle), "--normal", str(site.normal), "--no-report"]
        for _ in steps(bundle, calibrate, synced=True):
            pass
        pack_bundle(site.bundle_path, archive, key)
        install = ["install", str(archive), str(bundle), "--trust", str(folder / "keys")]
        moments: list[Moment] = []
        with node_beside(state, site, folder):
            log = disk.record()
            for arguments in (install, calibrate):
                current, course = current_name(bundle) or "", Course(arguments[0], "")
                events, begun = events_in(state), len(moments)
                moments.append(Moment(len(log), (current,), events, course.phase))
                for said in steps(bundle, arguments, synced=synced):
                    course.take(said)
                    moments.append(Moment(len(log), (current,), events, course.phase))
                for number, moment in enumerate(moments[begun:], begun):
                    ended = moment.phase.startswith("6")
                    versions = (course.name,) if ended else (current, course.name)
                    phase = f"{course.kind}, {moment.phase[2:]}"
                    moments[number] = moment._replace(versions=versions, phase=phase)
                time.sleep(SETTLE_S)
    return Recording(disk.medium, list(log), moments)


def fault(state: Path, moment: Moment) -> str:
    """What is wrong with a node's state; nothing if it is as it should be."""
    now = current_name(state / "bundle")
    if now is None or now not in moment.versions:
        return f"current is {now}"
    try:
        states: dict[str, str] = {e.name: e.state for e in list_versions(state / "bundle")}
        events = events_in(state)
    except (EarpatchError, AssertionError) as error:
        return str(error)
    if "damaged" in states.values() or states[now] not in {"current", "on trial"}:
        return str(states)
    return "" if events >= moment.events else f"{events} events of {moment.events}"


def cut_everywhere(
    recording: Recording, folder: Path, lucks: list[float]
) -> tuple[Counter[str], list[str]]:
    """The log ended before each request: how often what was found when, and all faults."""
    dice, seen, faults = random.Random(SEED), Counter[str](), []
    waiting = lost = torn = 0
    for crash in crashes(recording.medium, recording.requests, dice, lucks):
        if crash.number < recording.moments[0].request:  # was waiting already
            continue
        state, moment = take_out(recording.medium, "/state", folder), recording.at(crash.number)
        if why := fault(state, moment):
            faults.append(f"request {crash.number}, {moment.phase}, {crash.cut}: {why}")
        which = "new" if current_name(state / "bundle") == moment.versions[-1] else "old"
        seen[f"{moment.phase}: {which} version"] += 1
        waiting += crash.cut.waiting
        lost += crash.cut.lost
        torn += crash.cut.torn
    print(f"\nseed {SEED}: {len(recording.requests)} requests to the disk, {seen.total()} cuts, "
          f"{len(faults)} with damage; of {waiting} unflushed writes {lost} lost, "
          f"{torn} torn")  # fmt: skip
    return seen, faults


def test_a_cut_at_any_request_of_the_disk_leaves_the_old_version_or_the_new_one(
    site: Site, tmp_path: Path
) -> None:
    """I12, I23: and what was told to be done lasts from then on, with every event that was kept."""
    seen, faults = cut_everywhere(record(site, tmp_path, synced=True), tmp_path / "found", LUCKS)
    for phase, count in sorted(seen.items()):
        print(f"  {count:4} {phase}")
    assert faults == []


def test_without_a_single_sync_cuts_do_damage(site: Site, tmp_path: Path) -> None:
    """So that the test above can fail: the same commands, but fsync does nothing."""
    _, faults = cut_everywhere(record(site, tmp_path, synced=False), tmp_path / "found", LUCKS[:1])
    print(*faults[:3], sep="\n")
    assert faults
