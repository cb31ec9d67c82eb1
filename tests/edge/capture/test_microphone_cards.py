"""Which microphone: found by what doesn't change, told when it is held, waited for when it is away.

With a fake root for the kernel's view and a scripted PyAudio for PortAudio's.
"""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.edge.capture.fake_root import HDMI_0, HEADPHONES, FakeRoot, audiomoth, c_media
from tests.edge.capture.faking import FakeSound, cards, fake
from tests.fake_pyaudio.script import HEADPHONES as OUTPUT
from tests.fake_pyaudio.script import MICROPHONE, Device

__all__ = ["cards", "fake"]

INVALID_CHANNELS, UNAVAILABLE = -9998, -9985


def of_card(index: int, name: str = "USB PnP Sound Device", **more: object) -> Device:
    """As PortAudio lists the card that has this number now."""
    return Device(f"{name}: Audio (hw:{index},0)", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("listed", [True, False])
def test_a_busy_microphone_is_told_with_its_holder_and_opened_when_it_is_free(
    fake: FakeSound, cards: FakeRoot, *, listed: bool
) -> None:
    """A12, A13, A17, D14: busy, or invisible to PortAudio since a stopped process holds it."""
    with subprocess.Popen(["sleep", "600"]) as other:
        other.send_signal(signal.SIGSTOP)
        (fake.root / f"proc/{other.pid}").symlink_to(f"/proc/{other.pid}")
        cards.hold(1, other.pid)
        if listed:
            fake.change(open_error=(UNAVAILABLE, "Device unavailable"))
        else:
            fake.change(devices=(OUTPUT,))
        with fake.listening() as listening:
            listening.until_reason(f"held by sleep (process {other.pid}, stopped")
            assert listening.status.state == "recovering"
            other.kill()
            cards.boot({0: HEADPHONES, 1: c_media()})
            fake.change(open_error=None, devices=(OUTPUT, MICROPHONE))
            listening.until_state("hearing")


def test_a_busy_microphone_that_the_kernel_says_is_free_is_still_tried_again(
    fake: FakeSound, cards: FakeRoot
) -> None:
    """A09, A12: PortAudio's view differs from the kernel's; nobody is accused."""
    assert cards.path == fake.root
    fake.change(open_error=(INVALID_CHANNELS, "Invalid number of channels"))
    with fake.listening("port:1-1.2") as listening:
        listening.until_reason("-9998")
        assert "held by" not in listening.status.reason
        fake.change(open_error=None)
        listening.until_state("hearing")


@pytest.mark.parametrize("device", ["port:1-1.2", "usb:0d8c:0014", "card:Device", "USB PnP", ""])
def test_the_same_microphone_is_found_under_another_number(
    fake: FakeSound, cards: FakeRoot, device: str
) -> None:
    """B01, B03, B04, B05, B08, B11: it is looked up at every opening, by what doesn't change."""
    with fake.listening(device) as listening:
        listening.until_state("hearing")
        first = listening.capture.source.facts
        cards.boot({0: HEADPHONES})
        fake.change(devices=(OUTPUT,), sound="stopped")
        listening.until_state("absent")
        cards.boot({0: HDMI_0, 2: c_media(), 1: HEADPHONES})
        other = of_card(1, "bcm2835 Headphones", channels=0)
        fake.change(devices=(other, of_card(2)), sound="good")
        listening.until_state("hearing")
        second = listening.capture.source.facts
    assert (first["device"], second["device"]) == (of_card(1).name, of_card(2).name)
    assert first["identity"] == second["identity"] == "port:0000:01:00.0-1.2"


def test_another_microphone_on_the_old_number_is_not_taken(
    fake: FakeSound, cards: FakeRoot
) -> None:
    """B08, B09: after a reboot card 1 is somebody else's."""
    cards.boot({0: HEADPHONES, 1: audiomoth("1-1.4")})
    fake.change(devices=(OUTPUT, of_card(1, "384kHz AudioMoth USB Microphone")))
    with fake.listening("port:1-1.2") as listening:
        listening.until_state("absent")
        assert "384kHz AudioMoth USB Microphone" in listening.status.reason
        listening.spend(1.0)
    assert listening.blocks == []
    assert fake.logged("opening") == []


def test_a_microphone_that_comes_late_is_waited_for_and_its_absence_is_told(
    fake: FakeSound, cards: FakeRoot
) -> None:
    """B02: not there yet when the node starts at boot; never silently idle."""
    cards.boot({0: HEADPHONES})
    fake.change(devices=(OUTPUT,))
    with fake.listening("usb:0d8c:0014") as listening:
        listening.until_state("absent")
        listening.spend(1.0)
        assert listening.status.state == "absent"
        cards.boot({0: HEADPHONES, 1: c_media()})
        fake.change(devices=(OUTPUT, MICROPHONE))
        listening.until_state("hearing")
