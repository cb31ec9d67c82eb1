"""A node in an emulated computer, what is done to its bundle, and the plug that is pulled."""

from __future__ import annotations

import json
import os
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import RATE_HZ
from calibration.survey import survey
from edge.durable import LEFTOVER
from edge.install import pack_bundle
from edge.signing import make_keys
from tests.conftest import MACHINE
from tests.slow.site import RECORDING, STATE, configure

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Site
    from tests.slow.disk import Disk
    from tests.slow.emulator import Emulator
    from tests.slow.machine import Machine

SEED = int(os.environ.get("EARPATCH_POWER_SEED", "20261129"))
KINDS = ("install", "calibrate")
BUNDLE, CONFIG = f"/{STATE}/bundle", "/etc/earpatch/earpatch.toml"
LEARNT_S, DAYS = 12.0, 18  # the day with two faults, again and again
CALIBRATE = ("calibrate", BUNDLE, "--normal", f"/{STATE}/normal", "--no-report")
ARCHIVES = {f"/{STATE}/a.earpatch": (0, 1, 2), f"/{STATE}/b.earpatch": (3, 4, 5)}
AS_NODE = ("runuser", "-u", "earpatch", "--", "earpatch")
COMMAND_S, STEP_S = 900.0, 0.005
SWITCH = "rename current"
CHECKED = ("bundle", "golden windows", "outbox")  # lines of `earpatch doctor`


class Rehearsal(NamedTuple):
    """A command that was left alone."""

    requests: int  # writes and flushes of the disk, from its first step on
    took_s: float


@dataclass
class Course:
    """A command until the power went."""

    kind: str
    moment: str
    name: str = ""  # of the version that it was making
    ended: bool = False
    steps: list[str] = field(default_factory=list)

    @property
    def phase(self) -> str:
        """What was being done when the power went."""
        if self.ended:
            return "6 told that it is done"
        if SWITCH in self.steps[:-1]:
            return "5 links, removal of old versions"
        step = self.steps[-1] if self.steps else ""
        phases = {
            "history.json": "3 history",
            "rename versions/": "2 version put in its place",
            "versions/": "1 files of the version",
            "current": "4 switch",
        }
        found = (phase for part, phase in phases.items() if part in step)
        return next(found, "0 before anything is written")

    def take(self, said: dict[str, Any]) -> None:
        """Note what the guest said."""
        if "code" in said:
            assert said["code"] == 0, f"{self.kind} failed: {said['out']}"
            self.ended = True
            return
        self.steps.append(said["step"])
        verb, _, path = said["step"].partition(" ")
        name = path.removeprefix("versions/")
        if verb == "rename" and name != path and not name.startswith(LEFTOVER):
            self.name = name  # others are renamed to be removed


def put_bundles(machine: Machine, site: Site, folder: Path) -> dict[str, str]:
    """Two signed bundles, the key to trust, sound to learn, a day with faults.

    Returns:
        The bundles' ids by archive.
    """
    key, public = make_keys(folder / "keys")
    trust = machine.root / "etc/earpatch/keys"
    trust.mkdir()
    shutil.copy(public, trust)
    state, ids = machine.root / STATE, {}
    for archive, takes in ARCHIVES.items():
        normal, bundle = folder / "taken", folder / "taken-bundle"
        normal.mkdir()
        for take in takes:
            shutil.copy(site.normal / f"{take}.wav", normal)
        learn(bundle, builtin_backbone(), survey(normal))
        ids[archive] = pack_bundle(bundle, machine.root / archive[1:], key)
        shutil.rmtree(normal)
        shutil.rmtree(bundle)
    (state / "normal").mkdir()
    soundfile.write(state / "normal/0.wav", MACHINE.normal(LEARNT_S, 41), RATE_HZ)
    soundfile.write(state / "day.wav", np.tile(site.sound, DAYS), RATE_HZ)
    machine.chroot("chown", "-R", "earpatch:", f"/{STATE}")
    return ids


def keep_events(machine: Machine) -> None:
    """Let the node hear that day before the first cut: emulated it is too slow to hear a fault."""
    configure(machine, RECORDING.replace("true", "false"))
    done = machine.chroot(*AS_NODE, "run", "--config", CONFIG)
    assert "events kept in" in done.stderr, done.stderr


class Plant:
    """The computer, its disk and its power supply.

    Args:
        computer: off.
        disk: what it boots from.
        ids: of the bundles that can be installed, by archive.
    """

    def __init__(self, computer: Emulator, disk: Disk, ids: dict[str, str]) -> None:
        self.computer, self.disk = computer, disk
        self._ids = ids

    def come_up(self) -> tuple[dict[str, Any], float]:
        """Switch on; what is on the disk once the node is ready, and after how many seconds."""
        began = time.monotonic()
        self.computer.on()
        return self.look(), time.monotonic() - began

    def look(self) -> dict[str, Any]:
        """What is on the disk; all of it has to be whole, and the node has to run."""
        self.computer.send({"look": True})
        found = self.computer.next()
        assert found["ready"], found["out"]
        assert found["restarts"] == 0
        assert found["current"] in found["versions"]
        assert {name: why for name, why in found["versions"].items() if why} == {}
        assert len(found["links"]) == 4
        assert found["current"] in found["history"]
        assert (found["outbox"], found["aside"]) == ("ok", [])
        return found

    def ask_earpatch(self, current: str) -> None:
        """The same from earpatch's own commands."""
        code, listed = self.computer.run(*AS_NODE, "bundles", BUNDLE, "--json")
        assert code == 0, listed
        states = {each["name"]: each["state"] for each in map(json.loads, listed.splitlines())}
        assert states[current] in {"current", "on trial"}
        assert "damaged" not in states.values()
        _, told = self.computer.run("earpatch", "doctor", "--config", CONFIG, "--json")
        lines = [each for each in json.loads(told)["checks"] if each["name"].startswith(CHECKED)]
        assert {each["name"] for each in lines} == set(CHECKED)
        assert [each for each in lines if each["state"] != "ok"] == []

    def command(self, kind: str, current: str) -> tuple[str, ...]:
        """What is to be done: an archive can't be installed over itself."""
        if kind == "calibrate":
            return CALIBRATE
        archive = next(path for path, known in self._ids.items() if known not in current)
        return ("install", archive, BUNDLE)

    def rehearse(self, kind: str, current: str) -> Rehearsal:
        """The command, left alone."""
        began, requests = time.monotonic(), 0
        for said in self.computer.steps(*self.command(kind, current)):
            requests = requests or self.disk.requests
            assert said.get("code", 0) == 0, said["out"]
        return Rehearsal(self.disk.requests - requests, time.monotonic() - began)

    def cut_at_request(self, kind: str, current: str, number: int) -> Course:
        """Do it, and cut the power at the request of that number to the disk once it writes."""
        course = Course(kind, f"request {number}")
        return self._cut(course, current, COMMAND_S, lambda: self.disk.cut_after(number))

    def cut_after(self, kind: str, current: str, seconds: float) -> Course:
        """Do it, and cut the power after so many seconds, whatever it does."""
        return self._cut(Course(kind, f"{seconds:.1f} s"), current, seconds, lambda: None)

    def _cut(
        self, course: Course, current: str, seconds: float, at_first: Callable[[], None]
    ) -> Course:
        deadline = time.monotonic() + seconds
        self.computer.send({"earpatch": self.command(course.kind, current)})
        while not course.ended and not self.disk.dead.is_set() and time.monotonic() < deadline:
            if (said := self.computer.hear(STEP_S)) is None:
                continue
            course.take(said)
            if len(course.steps) == 1 and not course.ended:
                at_first()
            if not course.ended:
                self.computer.go()
        self.disk.die()
        self.computer.off()
        return course
