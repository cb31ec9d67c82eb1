"""A running node, commanded over a real broker: alarms, snapshots, calibration from afar."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import soundfile
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.clips.snapshot import Chunk, join
from edge.node import run_node
from edge.settings import load_settings
from tests.conftest import Broker, Site
from tests.edge.contract import check
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, wait_until

NODE = "site/pump-3"


def configuration(folder: Path, bundle: Path, port: int, more: str = "") -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'[node]\nid = "pump-3"\nstate_dir = "state"\n[bundle]\npath = "{bundle}"\n'
        f'[source]\nkind = "file"\npath = "long.flac"\nrealtime = true\n'
        f'[mqtt]\nurl = "mqtt://127.0.0.1:{port}"\ntopic_prefix = "site"\n{more}'
    )
    return path


class Desk:
    """An operator's desk: sends commands, reads what the node says."""

    def __init__(self, port: int, heard: Subscriber) -> None:
        self._heard = heard
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def close(self) -> None:
        """Leave it."""
        self._client.disconnect()
        self._client.loop_stop()

    def send(self, command: str, **fields: Any) -> None:
        """A command, as an operator's client sends it."""
        self._client.publish(f"{NODE}/cmd/{command}", json.dumps(fields), qos=1)

    def answers(self, correlation: str) -> list[dict[str, Any]]:
        """What came of one command so far."""
        found = [json.loads(raw) for raw in self._heard.payloads(f"{NODE}/cmd/result")]
        return [answer for answer in found if answer["id"] == correlation]

    def ended(self, correlation: str) -> dict[str, Any]:
        """The last answer, once it has come."""
        over = {"done", "refused", "failed"}
        wait_until(lambda: any(a["status"] in over for a in self.answers(correlation)))
        return self.answers(correlation)[-1]

    def state(self) -> dict[str, Any]:
        """What the node retains about its alarm."""
        payloads = self._heard.payloads(f"{NODE}/state")
        return dict(json.loads(payloads[-1])["inputs"][0]["alarm"]) if payloads else {}


@contextmanager
def running(config: Path, port: int) -> Iterator[Desk]:
    """A node in a thread, and the desk; every message is held against the contract at the end."""
    stop = threading.Event()
    node = threading.Thread(target=run_node, args=(load_settings(config),), kwargs={"stop": stop})
    with Subscriber(port) as heard:
        desk = Desk(port, heard)
        node.start()
        try:
            wait_until(lambda: heard.payloads(f"{NODE}/availability"))
            yield desk
        finally:
            stop.set()
            node.join(DEADLINE_S)
            desk.close()
        assert not node.is_alive()
        for message in heard.messages:
            if not message.topic.startswith(f"{NODE}/cmd/") or message.topic.endswith("result"):
                check(message.topic, bytes(message.payload))


@pytest.fixture
def long_day(tmp_path: Path, site: Site) -> None:
    """The site's day with its faults, then two minutes more of normal sound."""
    rate_hz = soundfile.info(site.day).samplerate
    with soundfile.SoundFile(
        tmp_path / "long.flac", "w", samplerate=rate_hz, channels=1, format="FLAC"
    ) as file:
        file.write(site.sound)
        for path in sorted(site.normal.iterdir())[:4]:
            file.write(soundfile.read(path)[0])


def test_an_alarm_is_raised_acknowledged_and_shelved_over_mqtt(
    tmp_path: Path, site: Site, broker: Broker, long_day: None
) -> None:
    del long_day
    with running(configuration(tmp_path, site.bundle_path, broker.port), broker.port) as desk:
        wait_until(lambda: desk.state().get("name") == "active_unacknowledged")
        event_id = desk.state()["last_event_id"]
        desk.send("acknowledge", id="a-1", by="Keller", event_id=event_id)
        assert desk.ended("a-1")["status"] == "done"
        wait_until(lambda: desk.state()["acknowledged"])
        desk.send("shelve", id="a-2", by="Keller", for_s=600)
        assert desk.ended("a-2")["status"] == "done"
        wait_until(lambda: desk.state()["name"] == "shelved")
        desk.send("rebirth", id="a-3")
        assert desk.ended("a-3")["status"] == "refused"


def test_a_snapshot_brings_the_clip_and_the_picture_of_the_last_event(
    tmp_path: Path, site: Site, broker: Broker, long_day: None
) -> None:
    del long_day
    more = '[clips]\nenabled = true\nmin_free_mb = 10\n[commands]\nallow = ["snapshot"]\n'
    config = configuration(tmp_path, site.bundle_path, broker.port, more)
    with running(config, broker.port) as desk:
        desk.send("snapshot", id="s-0")
        assert "no clip" in desk.ended("s-0")["text"]
        wait_until(lambda: list((tmp_path / "state" / "clips").rglob("*.png")))
        desk.send("snapshot", id="s-1")
        assert desk.ended("s-1")["status"] == "done"
        parts = [msgspec.convert(a["data"], Chunk) for a in desk.answers("s-1") if a["data"]]
    files = {Path(file.name).suffix: file.data for file in join(parts)}
    assert set(files) == {".flac", ".png"}
    assert files[".png"].startswith(b"\x89PNG")
    assert files[".flac"].startswith(b"fLaC")


def test_a_machine_is_learnt_anew_from_afar_while_the_node_goes_on(
    tmp_path: Path, site: Site, broker: Broker, long_day: None
) -> None:
    del long_day
    bundle = tmp_path / "bundle"
    learn = [sys.executable, "-m", "convert.main", "calibrate", str(bundle), "--no-report"]
    subprocess.run([*learn, "--normal", str(site.normal)], check=True, capture_output=True)
    config = configuration(tmp_path, bundle, broker.port, '[commands]\nallow = ["calibrate"]\n')
    with running(config, broker.port) as desk:
        wait_until(lambda: desk.state().get("name") == "active_unacknowledged")
        desk.send("calibrate", id="c-1", seconds=12)
        desk.send("calibrate", id="c-2", seconds=12)
        assert "going on already" in desk.ended("c-2")["text"]
        last = desk.ended("c-1")
        assert last["status"] == "done", last["text"]
        steps = [answer["progress"] for answer in desk.answers("c-1")[1:-1]]
    assert steps == sorted(steps)
    assert max(steps) == 0.5
    assert len(list((bundle / "versions").iterdir())) == 2
    assert list((tmp_path / "bundle-recordings").rglob("*.flac"))
