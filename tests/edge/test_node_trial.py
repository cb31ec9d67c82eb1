"""A running node, and the life of its bundle: installed, tested, rolled back, replaced."""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import RATE_HZ, Machine
from calibration.survey import survey
from edge import bundle_store
from edge import probation as probation_module
from edge import trial as trial_module
from edge.archive import pack
from edge.bundle_store import VERSIONS, current_name, current_version, write_version
from edge.bundle_versions import list_versions, roll_back
from edge.clock import Clock
from edge.errors import BundleError, DeliveryError
from edge.history import read_history
from edge.inputs import Input
from edge.install import install
from edge.node import Node, run_node
from edge.settings import load_settings
from edge.starts import Starts
from edge.trial import MOST_STARTS
from tests.conftest import MACHINE, Broker, Site
from tests.edge.contract import check
from tests.edge.delivery.test_listen import Subscriber
from tests.edge.looped import Looped
from tests.edge.made import files_of, tiny
from tests.edge.notified import Manager
from tests.edge.test_node_service import NO_MICROPHONE, ended, service
from tests.edge.test_node_service import configuration as service_configuration
from tests.edge.test_probation import deaf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

SINCE = "2026-11-25T10:00:00+00:00"
STATE = "site/pump-3/state"
DEADLINE_S = 180.0  # three self-tests, on a machine that does other things too
NORMAL_S = 60.0


@pytest.fixture(scope="module")
def normal() -> FloatArray:
    """Normal sound that was not learnt."""
    return MACHINE.normal(NORMAL_S, 51).astype(np.float32)


@pytest.fixture(scope="module")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What another machine has taught."""
    folder = tmp_path_factory.mktemp("other")
    (folder / "normal").mkdir()
    for take in range(6):
        soundfile.write(folder / "normal" / f"{take}.wav", Machine(12).normal(20.0, take), RATE_HZ)
    learn(folder / "bundle", builtin_backbone(), survey(folder / "normal"))
    return folder / "bundle"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause after a test that was missed, and a look at each moment."""
    monkeypatch.setattr(probation_module, "PAUSE_S", 0.0)
    monkeypatch.setattr(probation_module, "LOOK_EVERY_S", 0.2)


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Path:
    """A bundle with one good version."""
    write_version(tmp_path / "bundle", "v1", files_of(site))
    return tmp_path / "bundle"


def configuration(folder: Path, site: Site, bundle: Path, port: int) -> Path:
    config = folder / "node.toml"
    config.write_text(
        f'[node]\nid = "pump-3"\nstate_dir = "state"\n[bundle]\npath = "{bundle}"\n'
        f'[source]\nkind = "file"\npath = "{site.day}"\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\ntopic_prefix = "site"\ndrain_s = 0\n'
    )
    return config


class Running:
    """A node, as a subscriber sees it."""

    def __init__(self, each: Input, heard: Subscriber) -> None:
        self.input, self._heard = each, heard

    def states(self) -> list[dict[str, Any]]:
        """All that was retained about its input so far."""
        return [json.loads(raw)["inputs"][0] for raw in self._heard.payloads(STATE)]

    def wait_for(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Until it tells something."""
        deadline_s = time.monotonic() + DEADLINE_S
        while not (found := [state for state in self.states()[-1:] if condition(state)]):
            assert time.monotonic() < deadline_s, f"waited in vain; told was {self.states()[-1:]}"
            time.sleep(0.02)
        return found[0]


@contextmanager
def running(config: Path, port: int, sound: FloatArray) -> Iterator[Running]:
    """A node on sound that never ends; it loses none of it, and keeps to the contract."""
    settings = load_settings(config)
    each = Input(
        settings.all_inputs()[0], settings.liveness, settings.events,
        source=Looped(sound, RATE_HZ), starts=Starts(),
    )  # fmt: skip
    stop, failed = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            Node(settings, [each], Clock()).run(stop)
        except DeliveryError:
            pass  # what nobody has acknowledged at the end
        except Exception as error:  # noqa: BLE001  (told below)
            failed.append(error)

    thread = threading.Thread(target=run)
    with Subscriber(port) as heard:
        thread.start()
        try:
            yield Running(each, heard)
        finally:
            stop.set()
            thread.join(DEADLINE_S)
        assert not thread.is_alive()
        assert failed == []
        assert (each.numbers.gaps, each.numbers.gaps_s) == (0, 0.0)
        for raw in heard.payloads(STATE):
            check(STATE, raw)


def wait_for_scores(node: Running) -> None:
    """With what it has now."""
    before_s, deadline_s = node.input.numbers.scored_s, time.monotonic() + DEADLINE_S
    while node.input.numbers.scored_s < before_s + 3.0 or node.input.score is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def test_a_version_that_is_installed_meanwhile_is_taken_up_tested_and_stays(
    tmp_path: Path, site: Site, path: Path, broker: Broker, normal: FloatArray
) -> None:
    with running(configuration(tmp_path, site, path, broker.port), broker.port, normal) as node:
        before = node.wait_for(lambda state: state["input_state"] == "hearing")
        assert before["bundle_trial"] == "none"
        (tmp_path / "new.earpatch").write_bytes(pack(files_of(site, "the desktop")))
        installed = install(tmp_path / "new.earpatch", path, None)
        node.wait_for(lambda state: state["bundle"] == installed.bundle_id)
        after = node.wait_for(lambda state: state["bundle_trial"] == "passed")
        assert "added faults found with scores" in after["bundle_note"]
        wait_for_scores(node)
        trials = [state["bundle_trial"] for state in node.states()]
        assert trials == sorted(trials, key=["none", "on trial", "passed"].index)
    assert current_name(path) == installed.name
    assert read_history(path).passed == [installed.name]


def test_a_version_of_another_machine_is_rolled_back_and_the_node_goes_on(
    tmp_path: Path, site: Site, path: Path, other_bundle: Path, broker: Broker, normal: FloatArray
) -> None:
    with running(configuration(tmp_path, site, path, broker.port), broker.port, normal) as node:
        good = node.wait_for(lambda state: state["input_state"] == "hearing")["bundle"]
        files = {each.name: each.read_bytes() for each in current_version(other_bundle).iterdir()}
        (tmp_path / "new.earpatch").write_bytes(pack(files))
        wrong = install(tmp_path / "new.earpatch", path, None)
        node.wait_for(lambda state: state["bundle"] == wrong.bundle_id)
        after = node.wait_for(lambda state: state["bundle_trial"] == "failed")
        assert after["bundle_note"].startswith(f"{wrong.name}: ")
        assert "learnt from another machine" in after["bundle_note"]
        assert node.wait_for(lambda state: state["bundle"] == good)["bundle_trial"] == "failed"
        wait_for_scores(node)
    assert current_name(path) == "v1"
    assert {each.name: each.state for each in list_versions(path)} == {
        "v1": "current", wrong.name: "failed",
    }  # fmt: skip


def test_a_version_that_finds_nothing_is_rolled_back_and_alarms_are_found_again(
    tmp_path: Path,
    site: Site,
    path: Path,
    broker: Broker,
    normal: FloatArray,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial_module, "MOST_TESTS", 1)
    write_version(path, "v2", deaf(site), trial_since_utc=SINCE)
    with running(configuration(tmp_path, site, path, broker.port), broker.port, normal) as node:
        node.wait_for(lambda state: state["bundle_trial"] == "failed")
        good = site.open().manifest.bundle_id
        node.wait_for(lambda state: state["bundle"] == good)
        node.input.source.sound = site.sound  # type: ignore[attr-defined]
        node.wait_for(lambda state: state["alarm"]["active"])


def test_going_back_by_hand_and_a_version_that_can_not_be_used_while_the_node_runs(
    tmp_path: Path,
    site: Site,
    path: Path,
    broker: Broker,
    normal: FloatArray,
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_version(path, "v2", files_of(site, "v2"))
    with running(configuration(tmp_path, site, path, broker.port), broker.port, normal) as node:
        newer = node.wait_for(lambda state: state["input_state"] == "hearing")["bundle"]
        roll_back(path)
        node.wait_for(lambda state: state["bundle"] != newer)
        write_version(path, "v3", tiny(site, "v3"))
        for _ in range(3):
            wait_for_scores(node)
        assert node.input.version == "v1"
    lines = [r.message for r in caplog.records if "what is current now" in r.message]
    assert len(lines) == 1


def test_five_starts_without_a_verdict_end_a_trial(
    tmp_path: Path, site: Site, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A recording that is too short to test with, from the file that is set."""
    write_version(path, "v2", files_of(site, "v2"), trial_since_utc=SINCE)
    settings = load_settings(configuration(tmp_path, site, path, 9))
    for number in range(1, MOST_STARTS + 2):
        with pytest.raises(DeliveryError):
            run_node(settings)
        assert (current_name(path) == "v2") == (number <= MOST_STARTS)
    (line,) = (r.message for r in caplog.records if "Rolled back to v1" in r.message)
    assert f"v2 failed: started {MOST_STARTS} times without passing" in line


def test_a_version_that_no_runtime_loads_is_left_at_the_start(
    tmp_path: Path, site: Site, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_version(path, "v2", tiny(site, "v2"), trial_since_utc=SINCE)
    with pytest.raises(DeliveryError), caplog.at_level(logging.WARNING):
        run_node(load_settings(configuration(tmp_path, site, path, 9)))
    (record,) = (r for r in caplog.records if "Rolled back to v1" in r.message)
    assert (record.levelname, record.message.startswith("main: ")) == ("WARNING", True)


def test_a_bundle_that_can_not_be_written_stops_a_trial_and_nothing_else(
    tmp_path: Path, site: Site, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_version(path, "v2", files_of(site, "v2"), trial_since_utc=SINCE)
    settings = load_settings(configuration(tmp_path, site, path, 9))

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(bundle_store, "write_file", refuse)
    with pytest.raises(BundleError, match=r"Read-only file system.*chown -R"):
        run_node(settings)
    roll_back(path)
    with pytest.raises(DeliveryError):  # it has heard all of it, and nobody took the events
        run_node(settings)
    assert sorted(each.name for each in (path / VERSIONS).iterdir()) == ["v1", "v2"]


def test_sighup_is_no_start_for_a_version_that_is_open_already(
    tmp_path: Path, site: Site, path: Path
) -> None:
    write_version(path, "v2", files_of(site, "v2"), trial_since_utc=SINCE)
    config = service_configuration(tmp_path, replace(site, bundle_path=path), NO_MICROPHONE)
    with Manager(tmp_path) as manager, service(config, manager) as child:
        manager.wait_for("READY")
        child.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        manager.wait_for("READY")
        assert read_history(path).trials["v2"].starts == 1
        write_version(path, "v3", files_of(site, "v3"), trial_since_utc=SINCE)
        child.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        manager.wait_for("READY")
        assert read_history(path).trials["v3"].starts == 1
        ended(child)


def test_looking_whether_a_configuration_is_good_counts_nothing(
    tmp_path: Path, site: Site, path: Path
) -> None:
    write_version(path, "v2", files_of(site, "v2"), trial_since_utc=SINCE)
    config = configuration(tmp_path, site, path, 9)
    command = [sys.executable, "-m", "convert.main", "run", "--check", "--config", str(config)]
    subprocess.run(command, check=True, capture_output=True, timeout=DEADLINE_S)
    assert read_history(path).trials["v2"].starts == 0
