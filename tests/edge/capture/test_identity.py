"""What a configuration's `device` means, what is passed over and why, and what is never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.capture.cards import list_cards
from edge.capture.identity import Identity, is_ambiguous, parse_identity, resolve, why_not
from edge.errors import MicrophoneAbsentError, SettingsError
from tests.edge.capture.asking import absent, ambiguous, find
from tests.edge.capture.fake_root import (
    DUMMY,
    HEADPHONES,
    HIFIBERRY,
    JETSON,
    JETSON_APE,
    LOOPBACK,
    MIDI,
    FakeRoot,
    Hardware,
    audiomoth,
    c_media,
)

if TYPE_CHECKING:
    from pathlib import Path

LEFT, RIGHT = c_media("1-1.2"), c_media("1-1.3")  # twins


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    return FakeRoot(tmp_path)


@pytest.mark.parametrize("text", ["usb:0d8c:0014", "card:Device", "card:Device_1", "USB PnP"])
def test_twins_are_told_apart_by_port_alone(root: FakeRoot, text: str) -> None:
    """B10: the id is no help, `Device` is whichever was found first."""
    said = ambiguous(root, text, {1: LEFT, 2: RIGHT})
    assert f'device = "{text}" fits 2 microphones' in said
    assert "port:0000:01:00.0-1.2" in said
    assert "port:0000:01:00.0-1.3" in said
    for order in ({1: LEFT, 2: RIGHT}, {2: RIGHT, 1: LEFT}, {1: RIGHT, 2: LEFT}):
        assert order[find(root, "port:1-1.2", order).index] == LEFT


def test_twins_with_the_same_serial_number_are_not_guessed(root: FakeRoot) -> None:
    """B10: cheap devices all carry the same one."""
    said = ambiguous(root, "usb:16d0:06f3:0", {0: audiomoth("1-1", "0"), 1: audiomoth("1-2", "0")})
    assert "port:1-1," in said
    assert "port:1-2," in said


def test_a_serial_number_follows_the_microphone_to_another_port(root: FakeRoot) -> None:
    other = audiomoth("1-1.2", "FFFF")
    card = find(root, "usb:16D0:06F3:240F120A5F8A1B2C", {0: other, 1: audiomoth("1-1.4")})
    assert card.usb_port == "1-1.4"


def test_a_twin_that_only_plays_is_no_rival(root: FakeRoot) -> None:
    speaker = Hardware("USB PnP Sound Device", port="1-1.4", model="0d8c:0014", outputs=(0,))
    assert find(root, "card:Device_1", {0: speaker, 1: LEFT}).usb_port == "1-1.2"


def test_ids_that_a_person_gave_tell_twins_apart(root: FakeRoot) -> None:
    """B10: a udev rule may name cards by port; then the id is as good."""
    cards = {0: c_media("1-1.2", own_id="pump"), 1: c_media("1-1.3", own_id="fan")}
    assert find(root, "card:fan", cards).usb_port == "1-1.3"


@pytest.mark.parametrize(("text", "port"), [("card:pump", "1-1.2"), ("card:Device", "1-1.3")])
def test_one_id_that_a_person_gave_is_enough_to_tell_two_apart(
    root: FakeRoot, text: str, port: str
) -> None:
    cards = {0: c_media("1-1.2", own_id="pump"), 1: c_media("1-1.3")}
    assert find(root, text, cards).usb_port == port


def test_twins_without_a_name_of_their_own_are_twins_too(root: FakeRoot) -> None:
    """B10: the kernel names them by their model, and an id can't begin with a digit."""
    nameless = [
        Hardware("USB Device 0xd8c:0x14", port=port, model="0d8c:0014", inputs=(0,))
        for port in ("1-1.2", "1-1.3")
    ]
    said = ambiguous(root, "card:U0xd8c0x14", dict(enumerate(nameless)))
    assert "card:U0xd8c0x14_1" in said


def test_a_loopback_that_became_card_0_is_passed_over(root: FakeRoot) -> None:
    """B12: loading snd-aloop moves the others; it is there for those who name it."""
    cards = {0: LOOPBACK, 1: DUMMY, 2: c_media()}
    assert find(root, "", cards).id == "Device"
    said = absent(root, "Loopback", cards)
    assert "loopback device: never picked unless named by card:Loopback" in said
    assert "dummy device: never picked unless named by card:Dummy" in said
    assert find(root, "card:Loopback", cards).index == 0
    assert find(root, "card:Dummy", cards).index == 1


@pytest.mark.parametrize("cards", [{0: c_media(), 1: HEADPHONES}, {1: c_media(), 0: HEADPHONES}])
def test_an_output_is_never_picked(root: FakeRoot, cards: dict[int, Hardware]) -> None:
    """A02: a mono microphone and the board's headphones, in either order."""
    assert find(root, "", cards).id == "Device"


@pytest.mark.parametrize("text", ["", "card:Headphones", "Headphones", "port:1-1.2"])
def test_what_was_passed_over_is_said_with_the_reason(root: FakeRoot, text: str) -> None:
    """A08: the default device 0 is bcm2835, without an input."""
    said = absent(root, text, {0: HEADPHONES, 1: MIDI, 2: LOOPBACK})
    assert f'"{text}"' in said
    assert "bcm2835 Headphones (card:Headphones): output only" in said
    assert "APC mini mk2 (port:0000:01:00.0-1.4): no sound in or out" in said
    assert "Loopback (card:Loopback): loopback device" in said


def test_no_card_at_all_is_a_state_of_its_own(root: FakeRoot) -> None:
    """A11."""
    assert absent(root, "", {}) == (
        'no microphone for device = "": no sound card is here; plug it in'
    )


def test_a_jetsons_own_inputs_come_after_usb(root: FakeRoot) -> None:
    """A08: the board's audio engine has twenty inputs, and nothing connected to them."""
    microphone = c_media("1-2.3", controller=JETSON)
    assert find(root, "", {0: JETSON_APE, 1: microphone}).id == "Device"
    assert find(root, "card:APE", {0: JETSON_APE, 1: microphone}).id == "APE"


def test_among_usb_ports_the_lowest_is_first(root: FakeRoot) -> None:
    cards = {0: c_media("1-1.10"), 1: c_media("1-1.9")}
    assert find(root, "", cards).usb_port == "1-1.9"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("port:", "not a USB port; write it like port:1-1.2"),
        ("port:1", "not a USB port"),
        ("port:1-1.2:1.0", "not a USB port"),
        ("usb:xyz", "not a USB device; write it like usb:0d8c:0014 or usb:0d8c:0014:SERIAL"),
        ("usb:0d8c", "not a USB device"),
        ("usb:0d8c:0014:", "not a USB device"),
        ("card:", "not an ALSA card id; write it like card:Device"),
        ("card:1", "not an ALSA card id"),
        ("card:My Device", "not an ALSA card id"),
        ("1", "numbers of sound cards change"),
        (":1,0", "numbers of sound cards change"),
        ("hw:1,0", "numbers of sound cards change"),
        ("plughw:1", "numbers of sound cards change"),
        ("USB PnP Sound Device: Audio (hw:1,0)", "numbers of sound cards change"),
    ],
)
def test_a_malformed_device_is_refused_with_what_to_write(text: str, said: str) -> None:
    """B01: a number is refused, too, before it means another card."""
    with pytest.raises(SettingsError) as raised:
        parse_identity(text)
    assert f'device = "{text}": ' in str(raised.value)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "identity"),
    [
        ("", Identity("first")),
        ("  ", Identity("first")),
        (" port:1-1.2 ", Identity("port", "1-1.2")),
        ("Port:1-1.2", Identity("port", "1-1.2")),
        ("port:0000:01:00.0-1.2", Identity("port", "0000:01:00.0-1.2")),
        ("usb:0D8C:0014", Identity("usb", "0d8c:0014")),
        ("usb:0d8c:0014:a:B c", Identity("usb", "0d8c:0014:a:B c")),
        ("card:Device_1", Identity("card", "Device_1")),
        ("AudioMoth", Identity("name", "AudioMoth")),
        ("Mic: left", Identity("name", "Mic: left")),
    ],
)
def test_what_a_device_means(text: str, identity: Identity) -> None:
    assert parse_identity(text) == identity


@given(text=st.text(max_size=30) | st.from_regex(r"(port|usb|card|hw):[0-9a-f:.-]{0,12}"))
@example("port:1\n1")
@example("a\nb")
def test_any_text_has_one_meaning_or_is_refused(text: str) -> None:
    try:
        identity = parse_identity(text)
    except SettingsError as error:
        said = str(error)
    else:
        assert parse_identity(str(identity)) == identity
        with pytest.raises(MicrophoneAbsentError) as raised:
            resolve(identity, [])
        said = str(raised.value)
    assert said.isprintable()


@pytest.mark.parametrize(
    ("text", "thing", "expected"),
    [
        ("port:1-1.2", c_media(), False),
        ("usb:0d8c:0014", c_media(), True),
        ("usb:16d0:06f3:240F120A5F8A1B2C", audiomoth(), False),
        ("card:Device", c_media(), True),
        ("card:pump", c_media(own_id="pump"), False),
        ("card:sndrpihifiberry", HIFIBERRY, False),
        ("USB PnP", c_media(), True),
        ("", c_media(), True),
    ],
)
def test_what_a_second_of_its_model_could_be_taken_for(
    root: FakeRoot, text: str, thing: Hardware, *, expected: bool
) -> None:
    """B10: so that a warning can be given while there is only one."""
    card = find(root, text, {0: thing})
    assert is_ambiguous(parse_identity(text), card) is expected
    assert not is_ambiguous(parse_identity(card.identity), card)


def test_every_text_for_a_card_means_it_while_it_is_alone(root: FakeRoot) -> None:
    (card,) = list_cards(root.boot({4: audiomoth()}).path)
    assert len(card.names) == 4
    for text in card.names:
        assert why_not(parse_identity(text), card) is None
