"""`earpatch devices`: the kernel's view beside PortAudio's, and what to write for each."""

from __future__ import annotations

import pytest

from edge.capture import devices as devices_module
from edge.capture.devices import list_microphones, text_of
from tests.edge.capture.fake_root import HEADPHONES, LOOPBACK, FakeRoot, c_media
from tests.edge.capture.faking import FakeSound, cards, fake
from tests.fake_pyaudio.script import HEADPHONES as OUTPUT
from tests.fake_pyaudio.script import MICROPHONE, Device

__all__ = ["cards", "fake"]


def test_a_microphone_is_listed_with_what_to_write_and_what_it_can_do(
    fake: FakeSound, cards: FakeRoot
) -> None:
    """A03, A09, B01: its rates, its port, and PortAudio's name of it."""
    both = Device(MICROPHONE.name, rates_hz=(44_100, 48_000))
    fake.change(devices=(OUTPUT, both))
    output, microphone = list_microphones(cards.path).microphones
    assert (microphone.usable, microphone.portaudio) == (True, MICROPHONE.name)
    assert microphone.device == "port:0000:01:00.0-1.2"
    assert (microphone.rates_hz, microphone.channels) == ([48_000, 44_100], 1)
    assert (output.usable, output.note) == (False, "output only")
    text = "\n".join(text_of(list_microphones(cards.path)))
    assert 'device = "port:0000:01:00.0-1.2"' in text
    assert "skipped: bcm2835 Headphones" in text


def test_a_card_that_portaudio_doesn_t_list_is_said_to_be_held(
    fake: FakeSound, cards: FakeRoot
) -> None:
    """A09, A17: `arecord` works, PortAudio sees nothing; both views are told."""
    fake.change(devices=(OUTPUT,))
    (_, microphone) = list_microphones(cards.path).microphones
    assert "PortAudio does not list it" in microphone.note
    cards.hold(1, 999_999_999)
    (_, microphone) = list_microphones(cards.path).microphones
    assert "held by process 999999999" in microphone.note


def test_a_sound_server_is_told_from_a_card(fake: FakeSound, cards: FakeRoot) -> None:
    """B08: it may give another microphone's sound."""
    fake.change(devices=(OUTPUT, MICROPHONE, Device("pulse", channels=32)))
    *_, server = list_microphones(cards.path).microphones
    assert (server.device, server.usable) == ("pulse", True)
    assert "not a card" in server.note


def test_a_loopback_is_passed_over(fake: FakeSound, cards: FakeRoot) -> None:
    """B12."""
    cards.boot({0: LOOPBACK, 1: c_media()})
    fake.change(devices=(Device("Loopback: Loopback PCM (hw:0,0)"), MICROPHONE))
    loopback, microphone = list_microphones(cards.path).microphones
    assert (loopback.usable, microphone.usable) == (False, True)


@pytest.mark.parametrize("how", ["hang", "crash"])
def test_a_portaudio_that_can_t_be_asked_is_trouble_and_the_cards_are_listed(
    fake: FakeSound, cards: FakeRoot, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """D02, D06."""
    monkeypatch.setattr(devices_module, "LIST_WITHIN_S", 2.0)
    fake.change(initialize=how)
    listing = list_microphones(cards.path)
    assert listing.trouble
    assert [each.usable for each in listing.microphones] == [False, True]
    assert next(text_of(listing)).startswith("PortAudio could not be asked")


def test_none_at_all_says_what_to_do(fake: FakeSound) -> None:
    """A11."""
    fake.change(devices=())
    assert list(text_of(list_microphones(fake.root))) == [
        "no microphone is here. Plug one in and try again"
    ]


def test_cards_without_an_input_are_no_microphones(fake: FakeSound, cards: FakeRoot) -> None:
    """A08."""
    cards.boot({0: HEADPHONES})
    fake.change(devices=(OUTPUT,))
    assert [each.usable for each in list_microphones(cards.path).microphones] == [False]
