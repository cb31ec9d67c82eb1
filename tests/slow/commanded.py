"""Alarms commanded from afar, and what a simple model says that they must be after each command."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args

import msgspec

from edge.alarms.settings import AlarmSettings
from edge.alarms.waiting import LISTED
from edge.clips.keeper import ClipKeeper
from edge.clips.settings import ClipSettings
from edge.command_queue import LONGEST, MOST_WAITING
from edge.delivery.session import Received
from edge.desk import AlarmDesk
from edge.errands import Errands
from edge.remote import Answer, CommandName, CommandSettings, Remote
from tests.edge.alarms.model import Model
from tests.edge.contract import check
from tests.edge.test_clock import FakeTime

EACH = {"one input": 400_000, "two inputs": 300_000, "Sparkplug": 300_000}
INPUTS = {"one input": ("main",), "two inputs": ("gearbox", "motor"), "Sparkplug": ("a", "b")}
MAX_GROWTH_MIB = 24.0
WARM = 10  # so much of all is over before memory is looked at, as a share: one tenth
STEPS_S = (1.0, 1.0, 1.25, 2.0, 11.0, 600.0)

NAMES: tuple[CommandName, ...] = get_args(CommandName)
COMMON = {"id", "input", "by", "comment"}
KEYS = {"acknowledge": {"event_id"}, "shelve": {"for_s", "once"}, "calibrate": {"seconds", "add"}}
MOST_CHARS = {"id": 64, "input": 64, "by": 64, "comment": 500, "event_id": 64}
LEAST, MOST = {"for_s": 0.0, "seconds": 10.0}, {"for_s": 604_800.0, "seconds": 86_400.0}
MAX_SHELVE_S = 7_200.0
CHECKED_EVERY = 500  # answers: the contract's own validator takes its time
ALLOWED_STATUS = {"done", "refused", "started", "failed"}


def resident_mib() -> float:
    """This process, now."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Rig:
    """The node's own gate, desk, alarms and errands; only the network and the sound are not there.

    Args:
        folder: for the alarms' files.
        names: of the inputs.
        latching: as in [alarm].
    """

    def __init__(self, folder: Path, names: tuple[str, ...], *, latching: bool) -> None:
        settings = AlarmSettings(latching=latching, max_shelve_s=MAX_SHELVE_S)
        self.time, self.names = FakeTime(), names
        self.answers, self.events, self.last = 0, 0, b""
        self.models = {name: Model(settings) for name in names}
        clock = self.time.clock()
        inputs: Any = [self._input(name, folder) for name in names]
        self.desk = AlarmDesk(inputs, settings, folder, clock, lambda *_: None)
        network: Any = SimpleNamespace(subscribe=lambda *_: None, publish=self._published)
        allow = CommandSettings(allow=NAMES)
        self.remote = Remote("pump-3", allow, list(names), self.desk, network, clock)
        clips = ClipKeeper(ClipSettings(), folder / "clips", names)
        report: Any = SimpleNamespace(tell=lambda: None)
        self.errands = Errands(self.remote, inputs, clips, report)
        self.pass_s(0.0)

    def pass_s(self, seconds: float) -> None:
        """Nothing else happens; and the alarms are what the model says."""
        self._advance(seconds)
        self._tick()

    def event(self, name: str, seconds: float, duration_s: float) -> None:
        """The machine sounds wrong."""
        self._advance(seconds, **{name: duration_s})
        self.events += 1
        self.desk.event(name, self.event_id(), 0.0, duration_s, 2.0)
        self.models[name].event()
        self._tick()

    def event_id(self, back: int = 0) -> str:
        """Of the latest event, or of one before it."""
        return f"E{self.events - back}"

    def command(self, seconds: float, name: str, payload: bytes, *, retained: bool = False) -> str:
        """One command, its answer against what it must be, and the alarms after it.

        Returns:
            The answer's status; nothing if there is none.
        """
        self._advance(seconds)
        before, waiting = self.answers, {n: self.desk.status(n).unacknowledged for n in self.names}
        self.remote.take(Received(f"site/pump-3/cmd/{name}", payload, retained=retained))
        assert self.remote._queue._waiting.qsize() <= MOST_WAITING
        self.remote.work()
        if retained or f"cmd/{name}".endswith("/cmd/result") or name == "result":
            assert self.answers == before
            self._tick()
            return ""
        assert self.answers == before + 1
        answer = msgspec.json.decode(self.last, type=Answer)
        assert answer.status in ALLOWED_STATUS
        assert answer.text.isprintable()
        assert len(answer.text) <= 5 * LONGEST
        if answer.status != "refused":
            said = fields_of(name, payload, self.names)
            assert said is not None, "what is no command was done"
            assert answer.id == said["id"]
            self._apply(name, said, waiting)
        self.errands.work()  # a calibration that hears nothing ends now and then, and is answered
        self._tick()
        return answer.status

    def _apply(self, name: str, said: dict[str, Any], waiting: dict[str, list[str]]) -> None:
        """What an accepted command does to the model."""
        of = said.get("input") or self.names[0]
        model, listed = self.models[of], waiting[of]
        if name == "acknowledge" and said.get("event_id") is None:
            model.unacknowledged = 0
        elif name == "acknowledge" and said["event_id"] in listed:
            model.unacknowledged = len(listed) - listed.index(said["event_id"]) - 1
        elif name == "shelve" and not said.get("once"):
            for_s = MAX_SHELVE_S if said.get("for_s") is None else said["for_s"]
            assert 0.0 < for_s <= MAX_SHELVE_S
            now_s = self.time.monotonic_s  # of 1e-300 s nothing is left when it is added to that
            model.shelf_s, model.one_shot = (now_s + for_s) - now_s or None, False
        elif name == "shelve" and not model.one_shot:
            model.shelf_s, model.one_shot = MAX_SHELVE_S, True
        elif name == "unshelve":
            model.shelf_s, model.one_shot = None, False
        elif name == "reset":
            assert not (model.latched and (model.active or model.unacknowledged))
            model.latched = False
        elif name in {"out_of_service", "in_service"}:
            model.out_of_service = name == "out_of_service"

    def _advance(self, seconds: float, **anomaly_s: float) -> None:
        self.time.pass_s(seconds)
        for name, model in self.models.items():
            model.pass_time(seconds, anomaly_s.get(name, 0.0))

    def _tick(self) -> None:
        self.desk.tick()
        for name, model in self.models.items():
            alarm = self.desk.status(name)
            assert (alarm.name, alarm.active, alarm.latched, alarm.acknowledged) == (
                model.name, model.active, model.latched, not model.unacknowledged,
            )  # fmt: skip
            assert alarm.unacknowledged_count == model.unacknowledged
            assert len(alarm.unacknowledged) <= LISTED

    def _published(self, leaf: str, payload: bytes) -> bool:
        self.answers, self.last = self.answers + 1, payload
        if self.answers % CHECKED_EVERY == 0:
            check(f"site/pump-3/{leaf}", payload)
        return True

    @staticmethod
    def _input(name: str, folder: Path) -> Any:
        """What the desk and the errands look at; it is heard, and no block of it ever comes."""
        return SimpleNamespace(
            name=name, state="hearing", stretch=None,
            bundle_path=folder / f"bundle-{name}",
        )  # fmt: skip


def fields_of(name: str, payload: bytes, names: tuple[str, ...]) -> dict[str, Any] | None:
    """A command by another reader, after docs/events.md; None if it is none."""
    try:
        said = json.loads(payload.decode(), strict=False)
    except (ValueError, RecursionError):
        return None
    known = COMMON | KEYS.get(name, set())
    if name not in NAMES or not isinstance(said, dict) or not said.keys() <= known:
        return None
    said = {key: value for key, value in said.items() if value is not None or key == "id"}
    of = said.get("input", names[0] if len(names) == 1 else None)
    good = bool(said.get("id")) and of in names and len(payload) <= LONGEST
    return said if good and all(_fits(*each) for each in said.items()) else None


def _fits(key: str, value: Any) -> bool:
    if key in MOST_CHARS:
        return isinstance(value, str) and len(value) <= MOST_CHARS[key]
    if key in MOST:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number and LEAST[key] <= value <= MOST[key] and value > 0
    return isinstance(value, bool)
