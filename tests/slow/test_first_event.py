"""From `make install` to the first event, as a technician does it: `make boot-test`.

The microphone is a sound server's in the booted system, the broker Debian's mosquitto.
"""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest

from calibration.simulator import RATE_HZ
from tests.conftest import MACHINE
from tests.slow.machine import Machine, base_system, why_not
from tests.slow.site import CONFIG, UNIT
from tests.sound_server import as_pcm

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from calibration.simulator import Box
    from tests.conftest import Site

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

FIVE_MINUTES_S = 300.0
LEARNT_S, NORMAL_S = 60, 280.0
NODE = "works/hall-2/pumps/pump-3"
SOUND_PACKAGES = "pulseaudio,pulseaudio-utils,libasound2-plugins,mosquitto,mosquitto-clients"
SOCKET = "/run/machine.sock"
SERVER = (
    "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
    "--disable-shm=yes",
    "-L", f"module-native-protocol-unix socket={SOCKET} auth-anonymous=1 auth-cookie-enabled=0",
    "-L", f"module-null-sink sink_name=machine rate={RATE_HZ} channels=1",
)  # fmt: skip
ALSA = f'pcm.machine {{ type pulse server "unix:{SOCKET}" device "machine.monitor" }}\n'
ANSWERS = f"""
node = "pump-3"
device = "machine"
topic_prefix = "works/hall-2/pumps"
calibrate_s = {LEARNT_S}
start = true
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A Debian with a microphone and a broker, and nothing of ours."""
    made = Machine(
        tmp_path_factory.mktemp("sound") / "root",
        base_system("bookworm-sound", more=SOUND_PACKAGES),
    )
    (made.root / "etc/asound.conf").write_text(ALSA)
    with made.booted() as up:
        service(up, "sound-server", *SERVER)
        up.run("systemctl", "start", "mosquitto")
        up.wait("the sound server", lambda: up.run("test", "-S", SOCKET).returncode == 0)
        yield up
    shutil.rmtree(made.root, ignore_errors=True)


def service(machine: Machine, name: str, *command: str) -> None:
    done = machine.run("systemd-run", f"--unit={name}", *command)
    assert done.returncode == 0, done.stderr


def play(machine: Machine, name: str) -> None:
    """Play a file in the background; what is played before ends."""
    machine.run("systemctl", "stop", "player")
    service(
        machine, "player", "--setenv=PULSE_SERVER=unix:" + SOCKET,
        "pacat", "--raw", f"--rate={RATE_HZ}", "--channels=1", "--format=s16le", "-d", "machine",
        f"/root/{name}",
    )  # fmt: skip


def subscribed(machine: Machine, leaf: str) -> Path:
    """Where a subscriber writes what it gets of one of the node's topics."""
    name = leaf.replace("/", "-")
    output = f"--property=StandardOutput=file:/root/{name}"
    topic = f"{NODE}/{leaf}"
    service(machine, f"hears-{name}", output, "mosquitto_sub", "-h", "127.0.0.1", "-t", topic)
    told = machine.root / "root" / name
    machine.wait("a subscriber", told.exists)
    return told


def lines(told: Path) -> list[dict[str, Any]]:
    whole = told.read_text().rpartition("\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


def is_of(truth: Sequence[Box], message: dict[str, Any]) -> bool:
    """Whether it tells of one of the faults, by its frequencies."""
    data = message["data"]
    return message["type"] == "earpatch.anomaly" and any(
        data["low_hz"] < fault.high_hz and fault.low_hz < data["high_hz"] for fault in truth
    )


class SetUp(NamedTuple):
    """How long it took."""

    began_s: float  # monotonic
    installed_s: float
    ready_s: float


@pytest.fixture(scope="module")
def set_up(machine: Machine, site: Site) -> SetUp:
    """Installed, set up with a file of answers, and taught for a minute."""
    normal = MACHINE.normal(NORMAL_S, 91)
    for name, sound in (("normal", normal), ("day", site.sound)):
        (machine.root / "root" / name).write_bytes(as_pcm(np.asarray(sound)).tobytes())
    (machine.root / "root/answers.toml").write_text(ANSWERS)
    play(machine, "normal")
    began = time.monotonic()
    done = machine.make("install")
    assert done.returncode == 0, done.stderr
    installed_s = time.monotonic() - began
    done = machine.run("earpatch", "setup", "--answers", "/root/answers.toml", within_s=240.0)
    assert done.returncode == 0, done.stdout + done.stderr
    ready_s = time.monotonic() - began
    assert machine.show(UNIT, "ActiveState") == "active"
    return SetUp(began, installed_s, ready_s)


def test_the_first_event_comes_within_five_minutes_of_work(
    machine: Machine, site: Site, set_up: SetUp
) -> None:
    """The machine fails as soon as the node listens."""
    told = subscribed(machine, "event")
    play(machine, "day")
    machine.wait("an event", lambda: any(is_of(site.truth, line) for line in lines(told)))
    took_s = time.monotonic() - set_up.began_s
    print(f"\nmake install {set_up.installed_s:.0f} s; set up, {LEARNT_S} s of it to learn, and "
          f"listening after {set_up.ready_s:.0f} s; first event after {took_s:.0f} s")  # fmt: skip
    assert took_s < FIVE_MINUTES_S


@pytest.mark.usefixtures("set_up")
def test_a_node_in_its_unit_is_taught_from_afar(machine: Machine) -> None:
    """What learns is a process of the hardened service, too."""
    config = machine.root / CONFIG
    config.write_text(config.read_text() + '[commands]\nallow = ["calibrate"]\n')
    play(machine, "normal")
    machine.run("systemctl", "restart", UNIT)
    answers = subscribed(machine, "cmd/result")
    command = ["mosquitto_pub", "-h", "127.0.0.1", "-t", f"{NODE}/cmd/calibrate"]
    command += ["-m", '{"id": "1", "seconds": 20}']
    machine.wait("taken", lambda: machine.run(*command).returncode == 0 and bool(lines(answers)))
    ends = {"done": True, "failed": False}
    machine.wait("an end", lambda: any(each["status"] in ends for each in lines(answers)))
    (last,) = (each for each in lines(answers) if each["status"] in ends)
    assert ends[last["status"]], last
    assert "is in use" in last["text"]
