"""Which of PortAudio's devices is a card's input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.capture.cards import Card, list_cards
from edge.capture.portaudio_names import PortAudioDevice, portaudio_device, portaudio_matches
from tests.edge.capture.fake_root import (
    HDMI_0,
    HDMI_1,
    HEADPHONES,
    HIFIBERRY,
    FakeRoot,
    Hardware,
    c_media,
)

if TYPE_CHECKING:
    from pathlib import Path

PLUGINS: list[PortAudioDevice] = [(90, "sysdefault", 128), (91, "pulse", 32), (92, "default", 32)]


def cards_of(path: Path, cards: dict[int, Hardware]) -> dict[str, Card]:
    """By id."""
    return {card.id: card for card in list_cards(FakeRoot(path).boot(cards).path)}


def portaudio_list(cards: dict[int, Hardware]) -> list[PortAudioDevice]:
    """What PortAudio would list at this moment: hardware first, then plug-ins."""
    names = [
        (f"{card.name}: {card.pcm} (hw:{number},{device})", int(device in card.inputs))
        for number, card in sorted(cards.items())
        for device in sorted({*card.inputs, *card.outputs})
    ]
    return [(index, name, channels) for index, (name, channels) in enumerate(names)] + PLUGINS


def test_the_input_of_a_mono_card_beside_an_output(tmp_path: Path) -> None:
    """A02, A08: index 0 and index 1 in either order; never bcm2835, which has no input."""
    for cards in ({0: c_media(), 1: HEADPHONES}, {0: HEADPHONES, 1: c_media()}):
        microphone = cards_of(tmp_path, cards)["Device"]
        listed = portaudio_list(cards)
        index = portaudio_device(microphone, listed)
        assert index is not None
        assert listed[index][1].startswith("USB PnP Sound Device: ")


def test_an_output_is_no_input(tmp_path: Path) -> None:
    """A08: a card that only plays has no device, and neither has a name without channels."""
    cards = {0: HEADPHONES, 1: c_media()}
    by_id = cards_of(tmp_path, cards)
    assert portaudio_device(by_id["Headphones"], portaudio_list(cards)) is None
    assert portaudio_device(by_id["Device"], [(0, "USB PnP Sound Device: x (hw:1,0)", 0)]) is None


def test_a_list_from_before_the_shuffle_fits_no_card(tmp_path: Path) -> None:
    """B08: PortAudio's numbers are from before; the wrong card is worse than none."""
    before = {0: HIFIBERRY, 1: HDMI_0, 2: HDMI_1}
    now = {0: HDMI_1, 1: HDMI_0, 2: HIFIBERRY}
    hifiberry = cards_of(tmp_path, now)["sndrpihifiberry"]
    assert portaudio_device(hifiberry, portaudio_list(before)) is None
    assert portaudio_device(hifiberry, portaudio_list(now)) == 2


def test_a_held_microphone_is_not_listed(tmp_path: Path) -> None:
    """A17: PortAudio opens a device to list it; what is held isn't there."""
    cards = {0: HEADPHONES, 1: c_media()}
    microphone = cards_of(tmp_path, cards)["Device"]
    assert portaudio_device(microphone, portaudio_list({0: HEADPHONES})) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("USB PnP Sound Device: Audio (hw:1,0)", True),
        ("USB PnP Sound Device: Audio (plughw:1,0)", True),
        ("USB PnP Sound Device: Audio (hw:1,0,0) {subdevice #0}", True),
        ("USB PnP Sound Device: Audio (hw:2,0)", False),
        ("USB PnP Sound Device: Audio (hw:11,0)", False),
        ("USB PnP Sound Device: Audio (hw:1,1)", False),
        ("USB PnP Sound Device 2: Audio (hw:1,0)", False),
        ("USB PnP Sound Device", False),
        ("Audio Device (:1,0)", False),
        ("default", False),
        ("", False),
    ],
)
def test_name_and_number_must_both_fit(tmp_path: Path, name: str, *, expected: bool) -> None:
    """B02: a generic name such as "Audio Device (:1,0)" is nobody's."""
    card = cards_of(tmp_path, {1: c_media()})["Device"]
    assert portaudio_matches(name, card) is expected


@pytest.mark.parametrize("decoded", ["Mikrofon für Gerät", "Mikrofon fÃ¼r GerÃ¤t"])
def test_a_wrongly_decoded_name_still_fits(tmp_path: Path, decoded: str) -> None:
    """PyAudio tries one encoding after another."""
    german = Hardware("Mikrofon für Gerät", inputs=(0,), own_id="Mic")
    card = cards_of(tmp_path, {1: german})["Mic"]
    assert portaudio_matches(f"{decoded}: USB Audio (hw:1,0)", card)
