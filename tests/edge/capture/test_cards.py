"""What is read of a sound card, in the forms that the kernel writes."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.cards import alsa_name, list_cards
from tests.edge.capture.fake_root import (
    DUMMY,
    HDMI_0,
    HDMI_1,
    HEADPHONES,
    HIFIBERRY,
    JETSON,
    JETSON_APE,
    LOOPBACK,
    MIDI,
    PI5_SECOND,
    FakeRoot,
    Hardware,
    audiomoth,
    c_media,
)


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    return FakeRoot(tmp_path)


def test_a_usb_microphone_is_read_whole(root: FakeRoot) -> None:
    root.boot({0: HEADPHONES, 1: audiomoth("1-1.2")})
    card = list_cards(root.path)[1]
    assert (card.index, card.id) == (1, "Microphone")
    assert card.name == "384kHz AudioMoth USB Microphone"
    assert card.long_name == (
        "openacousticdevices.info 384kHz AudioMoth USB Microphone at usb-0000:01:00.0-1."
    ), "the kernel cuts it at 79 characters, so the port can't be taken from here"
    assert card.driver == "USB-Audio"
    assert (card.capture_devices, card.playback_devices) == ((0,), ())
    assert card.usb_port == "1-1.2"
    assert card.vendor_product == "16d0:06f3"
    assert card.serial == "240F120A5F8A1B2C"
    assert card.names == (
        "port:0000:01:00.0-1.2",
        "port:1-1.2",
        "usb:16d0:06f3:240F120A5F8A1B2C",
        "card:Microphone",
    )
    assert card.identity == card.names[0]


def test_the_listing_of_a_real_raspberry_pi_4(tmp_path: Path) -> None:
    """Byte by byte as the kernel prints it, with padded ids and a cut driver name."""
    asound = tmp_path / "proc/asound"
    for index, card_id in enumerate(["Headphones", "vc4hdmi0", "Device"]):
        (asound / f"card{index}").mkdir(parents=True)
        (asound / f"card{index}/id").write_text(f"{card_id}\n")
    (asound / "cards").write_text(
        " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"
        "                      bcm2835 Headphones\n"
        " 1 [vc4hdmi0       ]: vc4-hdmi - vc4-hdmi-0\n"
        "                      vc4-hdmi-0\n"
        " 2 [Device         ]: USB-Audio - USB PnP Sound Device\n"
        "                      C-Media Electronics Inc. USB PnP Sound Device"
        " at usb-0000:01:00.0-1.2, full spe\n"
    )
    (asound / "pcm").write_text(
        "00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8\n"
        "01-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1\n"
        "02-00: USB Audio : USB Audio : playback 1 : capture 1\n"
    )
    headphones, hdmi, device = list_cards(tmp_path)
    assert (headphones.driver, headphones.name) == ("bcm2835_headpho", "bcm2835 Headphones")
    assert (hdmi.id, hdmi.driver, hdmi.captures) == ("vc4hdmi0", "vc4-hdmi", False)
    assert (device.id, device.name, device.captures) == ("Device", "USB PnP Sound Device", True)


def test_only_cards_with_an_input_capture(root: FakeRoot) -> None:
    """A08: bcm2835 and HDMI only play, a MIDI controller has no sound at all."""
    root.boot({0: HEADPHONES, 1: HDMI_0, 2: MIDI, 3: HIFIBERRY, 4: c_media(), 5: JETSON_APE})
    assert [card.captures for card in list_cards(root.path)] == [
        False, False, False, True, True, True,
    ]  # fmt: skip


def test_virtual_cards_are_known_by_their_driver(root: FakeRoot) -> None:
    root.boot({0: LOOPBACK, 1: DUMMY, 2: c_media()})
    assert [card.virtual for card in list_cards(root.path)] == [
        "loopback device",
        "dummy device",
        None,
    ]


def test_numbers_may_have_gaps(root: FakeRoot) -> None:
    """B07: `options snd-usb-audio index=3`."""
    root.boot({3: c_media(), 0: HDMI_0, 31: audiomoth()})
    assert [card.index for card in list_cards(root.path)] == [0, 3, 31]


def test_the_second_of_a_model_gets_another_id(root: FakeRoot) -> None:
    root.boot({1: c_media("1-1.2"), 0: c_media("1-1.3")})
    assert {card.usb_port: card.id for card in list_cards(root.path)} == {
        "1-1.2": "Device",
        "1-1.3": "Device_1",
    }


@pytest.mark.parametrize(
    ("hardware", "identity"),
    [
        (c_media("1-1.2"), "port:0000:01:00.0-1.2"),
        (c_media("3-1", controller=PI5_SECOND), "port:1f00300000.usb-1"),
        (c_media("1-2.3.4", controller=JETSON), "port:3610000.usb-2.3.4"),
        (HIFIBERRY, "card:sndrpihifiberry"),
        (HDMI_1, "card:vc4hdmi1"),
    ],
    ids=["Pi 4", "Pi 5", "Jetson", "HAT", "HDMI"],
)
def test_a_port_is_told_by_its_controllers_address(
    root: FakeRoot, hardware: Hardware, identity: str
) -> None:
    root.boot({0: hardware})
    assert list_cards(root.path)[0].identity == identity


def test_without_sys_the_model_is_still_known(root: FakeRoot) -> None:
    """A container may hide /sys."""
    root.boot({0: c_media()})
    (root.path / "sys").rename(root.path / "hidden")
    (card,) = list_cards(root.path)
    assert (card.usb_port, card.identity) == (None, "usb:0d8c:0014")


@pytest.mark.parametrize("text", [None, "", "--- no soundcards ---\n"])
def test_no_card_is_an_empty_list(tmp_path: Path, text: str | None) -> None:
    """A11: a kernel without sound, none plugged in."""
    if text is not None:
        (tmp_path / "proc/asound").mkdir(parents=True)
        (tmp_path / "proc/asound/cards").write_text(text)
    assert list_cards(tmp_path) == []


def test_a_card_that_vanishes_meanwhile_is_left_out(root: FakeRoot) -> None:
    root.boot({0: HEADPHONES, 1: c_media(), 2: audiomoth()})
    root.vanish(1)
    assert [card.index for card in list_cards(root.path)] == [0, 2]


def test_a_card_whose_number_has_gone_to_another_is_left_out(root: FakeRoot) -> None:
    root.boot({1: c_media()})
    (root.path / "proc/asound/card1/id").write_text("Microphone\n")
    assert list_cards(root.path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_left_out(root: FakeRoot) -> None:
    root.boot({0: HEADPHONES, 1: c_media()})
    (root.path / "proc/asound/card1/id").chmod(0)
    assert [card.index for card in list_cards(root.path)] == [0]


def test_folders_in_the_place_of_files_are_no_cards(root: FakeRoot) -> None:
    root.boot({0: c_media()})
    (root.path / "proc/asound/card0/id").unlink()
    (root.path / "proc/asound/card0/id").mkdir()
    assert list_cards(root.path) == []


def test_a_name_cannot_steer_a_terminal(root: FakeRoot) -> None:
    root.boot({0: Hardware("Mic \x1b[2J", inputs=(0,), own_id="Mic")})
    assert list_cards(root.path)[0].describe() == r"Mic \x1b[2J (card:Mic)"


def test_alsa_is_told_an_id_and_no_number(root: FakeRoot) -> None:
    """A15: a card's id is right whatever .asoundrc says."""
    root.boot({3: c_media()})
    (card,) = list_cards(root.path)
    assert alsa_name(card) == "hw:CARD=Device,DEV=0"
    assert alsa_name(card, 2) == "hw:CARD=Device,DEV=2"


def test_alsa_is_told_the_first_device_that_captures(root: FakeRoot) -> None:
    root.boot({0: Hardware("Board", "board", inputs=(2, 3), outputs=(0,))})
    (card,) = list_cards(root.path)
    assert alsa_name(card) == "hw:CARD=Board,DEV=2"


@settings(deadline=None)  # it writes files
@given(listing=st.binary(max_size=400), pcm=st.binary(max_size=200), card_id=st.binary(max_size=20))
def test_any_bytes_give_a_list(listing: bytes, pcm: bytes, card_id: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asound = Path(folder) / "proc/asound"
        (asound / "card0").mkdir(parents=True)
        (asound / "cards").write_bytes(b" 0 [Mic            ]: " + listing)
        (asound / "pcm").write_bytes(pcm)
        (asound / "card0/id").write_bytes(card_id)
        for card in list_cards(Path(folder)):
            assert card.describe().isprintable()
