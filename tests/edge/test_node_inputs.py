"""The whole node on microphones that fail: what subscribers and systemd are told meanwhile."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import soundfile

from edge import inputs as inputs_module
from edge.clock import Clock
from edge.delivery.status import Health, InputHealth
from edge.detector import Detector, Findings
from edge.errors import DeliveryError
from edge.health import MUTE_S, UNSCORED_S, SelfReport
from edge.inputs import Input
from edge.node import Node, run_node
from edge.settings import load_settings
from tests.conftest import Broker, Site, free_port
from tests.edge.capture.faking import FakeSound, fake
from tests.edge.contract import check
from tests.edge.delivery.test_listen import Subscriber, retained, wait_until
from tests.edge.test_node import anomalies, messages
from tests.edge.test_watchdog import Manager
from tests.fake_pyaudio.script import HEADPHONES, MICROPHONE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.settings import Settings

__all__ = ["fake"]

DEADLINE_S = 60.0
HEALTH = "site/area/pump-3/health"
LIVENESS = "[liveness]\nopen_within_s = 6\nstalled_after_s = 1\nretry_first_s = 0.1\n"
MIC = '[[inputs]]\nname = "{name}"\nbundle.path = "{bundle}"\nsource.kind = "microphone"\n'
FILE = (
    '[[inputs]]\nname = "{name}"\nbundle.path = "{bundle}"\n'
    'source.kind = "file"\nsource.path = "{path}"\n'
)
LEVEL = '[[inputs.level]]\nname = "hum"\nabove_dbfs = -30\nfor_s = 0.5\n'


def settings_of(folder: Path, port: int, *inputs: str) -> Settings:
    path = folder / "node.toml"
    head = f'[node]\nid = "pump-3"\nstate_dir = "{folder}/state"\n'
    mqtt = f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\ntopic_prefix = "site/area"\n'
    path.write_text(head + mqtt + LIVENESS + "".join(inputs))
    return load_settings(path)


@contextmanager
def running(settings: Settings, fake: FakeSound) -> Iterator[None]:
    """A node in a thread, whose microphones obey the script."""
    inputs = [
        Input(each, settings.liveness, settings.events,
              source=fake.microphone(liveness=settings.liveness))
        for each in settings.all_inputs()
    ]  # fmt: skip
    stop, failed = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            Node(settings, inputs, Clock()).run(stop)
        except DeliveryError:
            pass  # where a test has no broker
        except Exception as error:  # noqa: BLE001  (told below)
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(DEADLINE_S)
    assert not thread.is_alive()
    assert failed == []


def told(heard: Subscriber) -> list[InputHealth]:
    """How the input was said to be, message by message."""
    for payload in heard.payloads(HEALTH):
        check(HEALTH, payload)
    return [msgspec.json.decode(raw, type=Health).inputs[0] for raw in heard.payloads(HEALTH)]


def states(heard: Subscriber) -> list[str]:
    found: list[str] = []
    for each in told(heard):
        if not found or found[-1] != each.state:
            found.append(each.state)
    return found


def test_health_follows_a_microphone_through_its_faults(
    tmp_path: Path, site: Site, broker: Broker, fake: FakeSound
) -> None:
    """B02, C05, E01, E02, E04: each state is told when it comes, retained, with its reason."""
    settings = settings_of(tmp_path, broker.port, MIC.format(name="main", bundle=site.bundle_path))
    fake.change(devices=(HEADPHONES,))
    with Subscriber(broker.port) as heard, running(settings, fake):
        wait_until(lambda: states(heard)[-1:] == ["absent"])
        assert "output only" in told(heard)[-1].reason
        fake.change(devices=(HEADPHONES, MICROPHONE))
        wait_until(lambda: states(heard)[-1:] == ["hearing"])
        fake.change(sound="zeros")
        wait_until(lambda: states(heard)[-1:] == ["silent"])
        silent = told(heard)[-1]
        assert (silent.level_dbfs, silent.reason) == (None, "digital silence")
        fake.change(sound="good")
        wait_until(lambda: states(heard)[-1:] == ["hearing"])
        fake.change(sound="stopped", devices=())
        wait_until(lambda: states(heard)[-1:] == ["absent"])
        late = retained(broker.port, HEALTH)
        assert late is not None
        (last,) = msgspec.json.decode(late, type=Health).inputs
        assert last.state == "absent"
        assert last.last_frame_age_s is not None
        assert last.facts["rate_hz"] == 48_000
        assert last.scored_s > 0
    assert set(states(heard)) >= {"absent", "hearing", "silent"}


def test_each_input_s_events_carry_its_name(tmp_path: Path, site: Site, broker: Broker) -> None:
    """Two machines, two bundles, one node: the same day on both gives the same events twice."""
    both = [
        FILE.format(name=name, bundle=site.bundle_path, path=site.day)
        for name in ("pump", "fan")
    ]  # fmt: skip
    settings = settings_of(tmp_path, broker.port, *both)
    with Subscriber(broker.port) as heard:
        count = run_node(settings)
        wait_until(lambda: len(anomalies(heard)) >= count)
        boxes = {
            name: sorted((a.data.start_s, a.data.low_hz, a.data.end_s) for a in anomalies(heard)
                         if a.data.input == name)
            for name in ("pump", "fan")
        }  # fmt: skip
        numbers = sorted(message.data.sequence for message in messages(heard))
    assert len(boxes["pump"]) * 2 == count
    assert boxes["pump"] == boxes["fan"]
    assert numbers == list(range(1, len(numbers) + 1))


def test_an_input_that_fails_doesn_t_take_the_others_with_it(
    tmp_path: Path, site: Site, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """E14: a source that can't be read is said once; the other one is scored to its end."""
    broken = site.sound[:96_000].copy()
    broken[50_000] = np.nan
    soundfile.write(tmp_path / "broken.wav", broken, 48_000, subtype="FLOAT")
    inputs = [
        FILE.format(name="broken", bundle=site.bundle_path, path=tmp_path / "broken.wav"),
        FILE.format(name="good", bundle=site.bundle_path, path=site.day),
    ]
    with Subscriber(broker.port) as heard:
        count = run_node(settings_of(tmp_path, broker.port, *inputs))
        wait_until(lambda: len(anomalies(heard)) >= count)
        assert {a.data.input for a in anomalies(heard)} == {"good"}
    assert count >= 2
    assert len([r for r in caplog.records if "the other inputs go on" in r.message]) == 1


def test_two_microphones_are_heard_at_once_and_one_may_be_loud(
    tmp_path: Path, site: Site, broker: Broker, fake: FakeSound
) -> None:
    """E15: a plain level alarm names its input and its rule."""
    loud = MIC.format(name="loud", bundle=site.bundle_path) + LEVEL
    settings = settings_of(
        tmp_path, broker.port, MIC.format(name="quiet", bundle=site.bundle_path), loud
    )
    with Subscriber(broker.port) as heard, running(settings, fake):
        wait_until(lambda: any(m.data.input == "loud" for m in levels(heard)))
        wait_until(lambda: all(each.state == "hearing" for each in last_health(heard)))
        assert {m.data.rule for m in levels(heard)} == {"hum"}
        assert {each.name for each in last_health(heard)} == {"quiet", "loud"}


def levels(heard: Subscriber) -> list[Any]:
    return [message for message in messages(heard) if type(message).__name__ == "LevelEvent"]


def last_health(heard: Subscriber) -> list[InputHealth]:
    payloads = heard.payloads(HEALTH)
    return msgspec.json.decode(payloads[-1], type=Health).inputs if payloads else []


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """Systemd's end."""
    found = Manager(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", found.address)
    yield found
    found.close()


def drained(manager: Manager) -> None:
    while not manager.told_nothing():
        pass


def test_a_loop_that_hangs_in_scoring_is_not_said_to_be_alive(
    tmp_path: Path, site: Site, fake: FakeSound, manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E04, E10, E11: the watchdog hears of scores, not of a process that exists."""
    hangs, go_on = threading.Event(), threading.Event()

    class Hanging(Detector):
        """Hangs when told."""

        def push(self, samples: Any) -> Findings:
            if hangs.is_set():
                go_on.wait(DEADLINE_S)
            return super().push(samples)

    monkeypatch.setattr(inputs_module, "Detector", Hanging)
    settings = settings_of(tmp_path, free_port(), MIC.format(name="main", bundle=site.bundle_path))
    with running(settings, fake):
        assert manager.told()[0] == "READY=1"
        assert "WATCHDOG=1" in manager.told()
        hangs.set()
        threading.Event().wait(1.5)
        drained(manager)
        threading.Event().wait(2.5)
        assert manager.told_nothing()
        hangs.clear()
        go_on.set()
        assert "WATCHDOG=1" in manager.told()


def test_a_node_without_its_microphone_is_alive_and_says_so(
    tmp_path: Path, site: Site, fake: FakeSound, manager: Manager
) -> None:
    """B02, E12: restarting it would not bring the microphone back."""
    fake.change(devices=())
    settings = settings_of(tmp_path, free_port(), MIC.format(name="main", bundle=site.bundle_path))
    with running(settings, fake):
        ready = manager.told()
        assert ready == ["READY=1", "STATUS=main absent; 0 events waiting", "WATCHDOG=1"]
        assert "WATCHDOG=1" in manager.told()


class Standing:
    """An input that stands still, as the report on it sees it."""

    def __init__(self, state: str, age_s: float | None, mute_s: float) -> None:
        status: Any = msgspec.defstruct("Status", [("state", str), ("reason", str)])
        numbers: Any = msgspec.defstruct("Numbers", [("last_score_age_s", Any)])
        self.name, self.state = "main", state
        self.status, self.numbers = status(state, ""), numbers(age_s)
        self.capture: Any = type("Capture", (), {"mute_s": mute_s})


@pytest.mark.parametrize(
    ("state", "age_s", "mute_s", "accounted"),
    [
        ("hearing", 0.5, 0.1, True),
        ("hearing", UNSCORED_S + 1.0, 0.1, False),  # sound comes, and nobody scores it
        ("hearing", UNSCORED_S + 1.0, MUTE_S + 1.0, False),  # none comes, and nobody says why
        ("hearing", None, 0.1, False),  # the first of it is just being scored
        ("silent", UNSCORED_S + 1.0, 0.1, True),
        ("silent", UNSCORED_S + 1.0, MUTE_S + 1.0, False),  # that was some time ago
        ("absent", None, 0.1, True),
        ("absent", None, MUTE_S + 1.0, False),
        ("starting", None, 0.1, False),
        ("ended", None, 0.1, False),  # before any of it could be scored
        ("ended", 60.0, 60.0, True),
    ],
)
def test_what_counts_as_alive(
    state: str, age_s: float | None, mute_s: float, *, accounted: bool
) -> None:
    """E04, E11."""
    nothing: Any = None
    standing: Any = Standing(state, age_s, mute_s)
    report = SelfReport("pump-3", [standing], nothing, nothing, nothing, Clock())
    assert not report.accounted_for(), "nothing is known yet"
    report._note(report._inputs[0])
    assert report.accounted_for() == accounted
