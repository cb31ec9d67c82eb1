"""Microphones as ALSA and as PortAudio have them: a fake root, a scripted PyAudio, a real child."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from edge.doctor.check import Visit
from edge.doctor.microphones import checks
from edge.settings import load_settings
from tests.edge.capture.fake_root import HEADPHONES, FakeRoot, audiomoth, c_media
from tests.edge.capture.faking import FakeSound, fake
from tests.edge.doctor.visits import only, put, says, states, visit_to
from tests.edge.status.snapshots import snapshot
from tests.fake_pyaudio.script import HEADPHONES as OUTPUT
from tests.fake_pyaudio.script import Device
from tests.sound_server import sound_server

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["fake"]

HOLDER = 4_242
SERVER_RATE_HZ = 16_000
BY_PORT = 'device = "port:1-1.2"'
LIVENESS = "\n[liveness]\nopen_within_s = 6.0"


def visit(fake: FakeSound, device: str = BY_PORT, more: str = "") -> Visit:
    source = f'kind = "microphone"\n{device}\n{more}'
    return visit_to(fake.root, source=source, mqtt=LIVENESS, root=fake.root)


@pytest.fixture
def pi(fake: FakeSound) -> FakeRoot:
    """Headphones and one USB microphone."""
    return FakeRoot(fake.root).boot({0: HEADPHONES, 1: c_media()})


@pytest.mark.usefixtures("pi")
def test_a_good_microphone_is_seen_by_both_and_heard(fake: FakeSound) -> None:
    """A09."""
    found = list(checks(visit(fake)))
    assert states(found) == {"microphone": "ok", "PortAudio": "ok", "sound": "ok"}
    says(only(found, "microphone"), "ok", "ALSA has USB PnP Sound Device", "port:")
    says(only(found, "PortAudio"), "ok", "(hw:1,0)", "48000")
    says(only(found, "sound"), "ok", "hearing", "dBFS")


@pytest.mark.usefixtures("pi")
def test_one_that_is_not_plugged_in_says_what_is(fake: FakeSound) -> None:
    says(
        only(checks(visit(fake, 'device = "port:1-1.4"')), "microphone"),
        "failed", "plug it in", "USB PnP Sound Device", "earpatch devices",
    )  # fmt: skip


def test_two_that_fit_are_told_apart_by_their_port(fake: FakeSound) -> None:
    FakeRoot(fake.root).boot({1: c_media("1-1.2"), 2: c_media("1-1.3")})
    found = only(checks(visit(fake, 'device = "usb:0d8c:0014"')), "microphone")
    says(found, "failed", "fits 2 microphones", "port:")


@pytest.mark.usefixtures("pi")
def test_a_name_that_a_second_one_could_have_too_is_a_warning(fake: FakeSound) -> None:
    found = only(checks(visit(fake, 'device = "usb:0d8c:0014"')), "microphone")
    says(found, "warning", 'device = "port:')


def test_one_that_is_held_is_invisible_to_portaudio_and_its_holder_is_named(
    fake: FakeSound, pi: FakeRoot
) -> None:
    """A12, A17: an earlier run was suspended with Ctrl-Z."""
    pi.hold(1, HOLDER)
    put(
        fake.root,
        f"proc/{HOLDER}/status",
        f"Name:\tarecord\nState:\tT (stopped)\nTgid:\t{HOLDER}\n",
    )
    fake.change(devices=(OUTPUT,))
    found = list(checks(visit(fake)))
    says(only(found, "microphone"), "ok", "ALSA has")
    says(only(found, "PortAudio"), "failed", f"held by arecord (process {HOLDER}", "kill")
    says(only(found, "sound"), "failed", "can't listen", "stopped")


@pytest.mark.usefixtures("pi")
def test_one_that_portaudio_does_not_list_and_nobody_holds(fake: FakeSound) -> None:
    """A09: PortAudio and ALSA differ; ALSA's recorder is the way out."""
    fake.change(devices=(OUTPUT,))
    says(only(checks(visit(fake)), "PortAudio"), "failed", "does not list it", "arecord")
    with_arecord = visit(fake, more='backend = "arecord"')
    says(only(checks(with_arecord), "PortAudio"), "warning", "does not list it")


@pytest.mark.parametrize("how", ["crash", "abort"])
@pytest.mark.usefixtures("pi")
def test_a_portaudio_that_crashes_takes_nothing_with_it(fake: FakeSound, how: str) -> None:
    fake.change(initialize=how)
    found = list(checks(visit(fake)))
    says(only(found, "PortAudio"), "failed", "could not be asked", "sound server")
    assert only(found, "sound").state == "failed"


@pytest.mark.parametrize(
    ("sound", "words"), [("zeros", "digital silence"), ("faint", "own noise"), ("frozen", "again")]
)
@pytest.mark.usefixtures("pi")
def test_one_that_gives_no_good_sound_is_told_by_its_state(
    fake: FakeSound, sound: str, words: str
) -> None:
    fake.change(sound=sound)
    says(only(checks(visit(fake)), "sound"), "failed", words, "microphones.md")


@pytest.mark.usefixtures("pi")
def test_a_running_node_is_asked_and_its_microphone_left_alone(fake: FakeSound) -> None:
    there = visit(fake)
    replace, told = msgspec.structs.replace, snapshot()
    inputs = [replace(each, name="main") for each in told.health.inputs]
    there.snapshot = replace(told, health=replace(told.health, inputs=inputs))
    there.running = True
    says(only(checks(there), "sound"), "ok", "the running node says: hearing")
    assert fake.logged("opening") == []


@pytest.mark.usefixtures("pi")
def test_a_card_that_the_node_holds_is_no_fault_of_portaudio(fake: FakeSound) -> None:
    there = visit(fake)
    there.running = True
    fake.change(devices=(OUTPUT,))
    says(only(checks(there), "PortAudio"), "ok", "while the node holds it")
    says(only(checks(there), "sound"), "skipped")


def test_a_sound_server_is_used_with_a_warning(fake: FakeSound) -> None:
    fake.change(devices=(Device("pulse", channels=2),))
    found = list(checks(visit(fake, 'device = "pulse"')))
    says(only(found, "microphone"), "warning", "sound server")
    says(only(found, "sound"), "ok", "hearing")


def test_each_of_several_inputs_has_its_lines(fake: FakeSound) -> None:
    FakeRoot(fake.root).boot({1: c_media("1-1.2"), 2: audiomoth("1-1.1")})
    config = fake.root / "node.toml"
    config.write_text(
        '[node]\nid = "n"\n'
        '[[inputs]]\nname = "gearbox"\nbundle = { path = "g" }\n'
        'source = { kind = "microphone", device = "port:1-1.2" }\n'
        '[[inputs]]\nname = "line"\nbundle = { path = "l" }\n'
        'source = { kind = "stdin", rate_hz = 48000 }\n'
    )
    found = states(checks(Visit(config, fake.root, settings=load_settings(config))))
    assert found == {"mic gearbox": "ok", "PortAudio": "ok", "sound": "ok", "mic line": "skipped"}


def test_a_recording_is_an_input_too(fake: FakeSound) -> None:
    there = visit_to(fake.root, source='kind = "file"\npath = "none.wav"', root=fake.root)
    says(only(checks(there), "microphone"), "failed", "none.wav")


def test_a_real_portaudio_on_a_real_sound_server_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "pulse"
    folder.mkdir()
    noise = 0.1 * np.random.default_rng(0).standard_normal(60 * SERVER_RATE_HZ)
    with sound_server(folder) as server:
        monkeypatch.setenv("PULSE_SERVER", server.url)
        server.plug_in(SERVER_RATE_HZ)
        server.play(noise.astype(np.float32), SERVER_RATE_HZ)
        source = f'kind = "microphone"\ndevice = "pulse"\nrate_hz = {SERVER_RATE_HZ}'
        found = list(checks(visit_to(tmp_path, source=source, root=tmp_path)))
    says(only(found, "microphone"), "warning", "a sound server, not a card")
    heard = only(found, "sound")
    says(heard, "ok", "hearing")
    level = re.search(r"(-[\d.]+) dBFS", heard.found)
    assert level is not None
    assert float(level[1]) == pytest.approx(-20.0, abs=1.0), "what was played"
