"""A microphone is found and opened, or it is said why not; and the node goes on trying.

With a real child process and a scripted PyAudio; real parts are in `test_virtual_microphone`.
Situations that are no test, and why:

| id | why |
|---|---|
| C04 | `read` is never called: sound comes by callbacks, which every PyAudio has |
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edge.capture.microphone import Microphone
from edge.capture.settings import MicrophoneSource
from edge.errors import RecordingError
from tests.edge.capture.faking import FakeSound, cards, fake
from tests.edge.capture.listening import IMPATIENT, Listening
from tests.edge.delivery.test_listen import wait_until
from tests.fake_pyaudio.script import HEADPHONES as OUTPUT
from tests.fake_pyaudio.script import MICROPHONE, Device

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.edge.capture.fake_root import FakeRoot

__all__ = ["cards", "fake"]

UNAVAILABLE = -9985


@pytest.mark.parametrize(
    ("rates_hz", "default_hz", "got_hz"),
    [
        ((16_000,), 16_000, 16_000),
        ((48_000,), 48_000, 48_000),
        ((44_100, 48_000), 44_100, 44_100),
        ((44_100,), 48_000, 44_100),  # a default that it can't do
        ((96_000,), 96_000, 96_000),
    ],
)
def test_what_the_hardware_can_t_do_is_opened_at_a_rate_of_its_own(
    fake: FakeSound,
    caplog: pytest.LogCaptureFixture,
    rates_hz: tuple[int, ...],
    default_hz: int,
    got_hz: int,
) -> None:
    """A01, A04, A05, A16: 16 kHz is asked for; no sound server resamples, nobody is prompted."""
    caplog.set_level(logging.INFO)
    device = Device("USB Mic: Audio (hw:1,0)", rates_hz=rates_hz, default_hz=default_hz)
    fake.change(devices=(device,))
    with fake.listening(rate_hz=16_000) as listening:
        listening.hear(0.2)
        facts = listening.capture.source.facts
    assert {block.rate_hz for block in listening.blocks} == {got_hz}
    assert (facts["asked_rate_hz"], facts["rate_hz"], facts["channels"]) == (16_000, got_hz, 1)
    assert f"at {got_hz} Hz, 1 channels (asked for 16000 Hz)" in caplog.text


@pytest.mark.parametrize("microphone_first", [True, False])
def test_an_output_is_never_opened(fake: FakeSound, *, microphone_first: bool) -> None:
    """A02, A08: a mono microphone that does 44.1 kHz only, beside bcm2835 without an input."""
    mono = Device("USB PnP Sound Device: Audio (hw:0,0)", rates_hz=(44_100,), default_hz=44_100)
    fake.change(devices=(mono, OUTPUT) if microphone_first else (OUTPUT, mono))
    with fake.listening(rate_hz=16_000) as listening:
        listening.hear(0.2)
        assert listening.capture.source.facts["device"] == mono.name
        assert listening.capture.source.facts["rate_hz"] == 44_100


def test_without_an_input_what_was_skipped_is_said(fake: FakeSound) -> None:
    """A08, A11: a state of its own, and the node keeps trying until one is plugged in."""
    fake.change(devices=(OUTPUT,))
    with fake.listening() as listening:
        listening.until_reason(f"it sees {OUTPUT.name} (output only)")
        assert listening.status.state == "absent"
        fake.change(devices=())
        listening.until_reason("it sees none at all")
        assert listening.status.state == "absent"
        fake.change(devices=(OUTPUT, MICROPHONE))
        listening.until_state("hearing")
    assert listening.states == ["starting", "absent", "recovering", "hearing"]


def test_what_was_tried_in_vain_is_said(fake: FakeSound) -> None:
    """A03: the device, what was asked for, and what else was tried."""
    fake.change(devices=(Device("Odd: Audio (hw:1,0)", rates_hz=(11_025,), default_hz=8_000),))
    with fake.listening(rate_hz=16_000) as listening:
        listening.until_reason("Invalid sample rate")
        reason = listening.status.reason
        assert listening.status.state == "recovering"
    assert reason.startswith("Odd: Audio (hw:1,0): -9997")
    assert "tried 16000 Hz x 1, 8000 Hz x 1, 48000 Hz x 1, 44100 Hz x 1" in reason


@pytest.mark.parametrize(
    ("device", "channel", "got"),
    [
        (Device("Mono", channels=1), 0, 1),
        (Device("Stereo that can't do mono", channels=2, fewest_channels=2), 0, 2),
        (Device("Stereo", channels=2), 1, 2),
        (Device("Sound server", channels=128), 0, 1),  # which mixes down itself
    ],
)
def test_channels_are_what_the_hardware_has(
    fake: FakeSound, device: Device, channel: int, got: int
) -> None:
    """A14: not every card can do two, and not every card can do one."""
    fake.change(devices=(device,))
    microphone = fake.microphone(channel=channel)
    with Listening(microphone) as listening:
        listening.hear(0.2)
    assert microphone.facts["channels"] == got


def test_a_channel_that_the_microphone_has_not_is_explained(fake: FakeSound) -> None:
    """A07, A14: asked for the second of one."""
    with Listening(fake.microphone(channel=2)) as listening:
        listening.until_reason(MICROPHONE.name)
        assert "channel 2" in listening.status.reason
        assert "has 1" in listening.status.reason


def test_portaudio_s_own_words_are_kept(fake: FakeSound) -> None:
    """A18: the number, its text, and the line of its source."""
    expression = "Expression 'ret' failed in 'src/hostapi/alsa/pa_linux_alsa.c', line: 1742"
    fake.change(open_error=(UNAVAILABLE, "Device unavailable"), host_text=expression)
    with fake.listening() as listening:
        listening.until_reason("-9985 Device unavailable")
        assert expression in listening.status.reason
        fake.change(open_error=None)
        listening.until_state("hearing")


@pytest.fixture
def arecord(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Puts a program of that name first on the PATH; returns where it notes its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def make(does: str) -> Path:
        program = folder / "arecord"
        program.write_text(f'#!/bin/sh\necho "$@" >>{folder}/arguments\n{does}\n')
        program.chmod(0o755)
        return folder / "arguments"

    return make


def test_alsa_s_recorder_is_told_a_card_s_id_and_its_own_words_are_kept(
    fake: FakeSound, cards: FakeRoot, arecord: Callable[[str], Path]
) -> None:
    """A15: a stale .asoundrc can't lead elsewhere; A13: busy, as ALSA says it."""
    assert cards.path == fake.root
    words = "arecord: main:831: audio open error: Device or resource busy"
    arguments = arecord(f'echo "{words}" >&2; exit 1')
    wanted = MicrophoneSource(device="port:1-1.2", backend="arecord")
    with Listening(Microphone(wanted, IMPATIENT, root=fake.root)) as listening:
        listening.until_reason(words)
        assert listening.status.state == "recovering"
        arecord("exec cat /dev/urandom")
        listening.hear(0.5)
    assert "-D plughw:CARD=Device,DEV=0 -t raw" in arguments.read_text().splitlines()[0]


def test_a_recorder_that_is_not_installed_is_named(
    fake: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fake.root))
    wanted = MicrophoneSource(device="pulse", backend="arecord")
    with Listening(Microphone(wanted, IMPATIENT, root=fake.root)) as listening:
        listening.until_reason("arecord: No such file or directory")


def test_a_killed_node_leaves_no_child_behind(fake: FakeSound) -> None:
    """D09, D14: not even one that hangs in `open`, and would hold the microphone."""
    fake.change(open="hang")
    code = (
        "import threading; from edge.capture.microphone import Microphone; "
        "from edge.capture.settings import *; "
        "list(Microphone(MicrophoneSource(), LivenessSettings()).blocks(threading.Event()))"
    )
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL) as node:
        wait_until(lambda: fake.logged("opening"))
        child = int(fake.logged("opening")[0]["pid"])
        node.kill()
    wait_until(lambda: not alive(child))


def alive(pid: int) -> bool:
    """Whether a process runs that is not just waiting to be buried."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_each_child_is_gone_before_the_next_begins(fake: FakeSound) -> None:
    """D09: a handle that is still open keeps a replugged card from its number."""
    with fake.listening() as listening:
        listening.until_state("hearing")
        fake.change(open="hang", sound="stopped")
        wait_until(lambda: len(fake.logged("opening")) == 2, lambda: listening.spend(0.05))
        first, second = (int(line["pid"]) for line in fake.logged("opening"))
        assert not alive(first)
        began = time.monotonic()
    assert time.monotonic() - began < 5.0
    assert not alive(second)


def test_a_capture_that_fails_leaves_no_child_behind(
    fake: FakeSound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One input may fail while the others go on; then its microphone must be free again."""
    with fake.listening() as listening:
        listening.hear(0.2)
        child = int(fake.logged("opening")[0]["pid"])

        def fail(_block: object) -> None:
            raise ValueError("a mistake of ours")

        monkeypatch.setattr(listening.capture._watch, "hear", fail)
        wait_until(lambda: not alive(child))
        with pytest.raises(RecordingError, match="a mistake of ours"):
            listening.until(lambda: listening.capture.ended)
