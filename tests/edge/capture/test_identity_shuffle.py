"""Cards change their numbers and their order: an identity stays with the thing.

Of the situations in section B (identity), the waiting of B02 (a microphone that appears late) and
B11 (a replug while listening) belongs to whoever opens the microphone, and the refusal of B09 (a
calibration for another microphone) to the bundle; here is what they ask and the answer they get.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.capture.cards import list_cards
from edge.capture.identity import parse_identity, resolve
from edge.errors import MicrophoneAbsentError, MicrophoneAmbiguousError, SettingsError
from tests.edge.capture.asking import absent, find
from tests.edge.capture.fake_root import (
    DUMMY,
    HDMI_0,
    HDMI_1,
    HEADPHONES,
    HIFIBERRY,
    JETSON_APE,
    LOOPBACK,
    MIDI,
    PI5_FIRST,
    PI5_SECOND,
    FakeRoot,
    Hardware,
    audiomoth,
    c_media,
)

LEFT, RIGHT = c_media("1-1.2"), c_media("1-1.3")  # twins
EVERYTHING = (LEFT, RIGHT, audiomoth(), HEADPHONES, HDMI_0, HDMI_1, HIFIBERRY, LOOPBACK, DUMMY,
              MIDI, c_media("3-1", controller=PI5_SECOND), c_media("1-1", controller=PI5_FIRST),
              audiomoth("1-4", "0"), audiomoth("1-5", "0"), JETSON_APE)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> FakeRoot:
    return FakeRoot(tmp_path)


@st.composite
def two_boots(draw: st.DrawFn) -> tuple[dict[int, Hardware], dict[int, Hardware]]:
    """The same cards twice, found in another order and with other numbers."""
    things = draw(st.lists(st.sampled_from(EVERYTHING), min_size=1, max_size=7, unique=True))
    numbers = st.lists(st.integers(0, 31), min_size=len(things), max_size=len(things), unique=True)
    before = dict(zip(draw(numbers), things, strict=True))
    after = dict(zip(draw(numbers), draw(st.permutations(things)), strict=True))
    return before, after


@settings(max_examples=60, deadline=None)  # it writes files
@given(boots=two_boots())
def test_an_identity_means_the_same_thing_after_any_shuffle(
    boots: tuple[dict[int, Hardware], dict[int, Hardware]],
) -> None:
    """B01, B04, B05, B07, B10: for any set of cards, any order of detection, any numbers."""
    before, after = boots
    with tempfile.TemporaryDirectory() as folder:
        root = FakeRoot(Path(folder))
        written = {
            before[card.index]: card.identity
            for card in list_cards(root.boot(before).path)
            if card.captures
        }
        now = list_cards(root.boot(after).path)
        for thing, text in written.items():
            assert after[resolve(parse_identity(text), now).index] == thing


@settings(max_examples=60, deadline=None)  # it writes files
@given(boots=two_boots())
def test_the_first_card_is_the_same_after_any_shuffle(
    boots: tuple[dict[int, Hardware], dict[int, Hardware]],
) -> None:
    """B08: without a `device`, too, the choice doesn't depend on who was found first."""
    before, after = boots
    with tempfile.TemporaryDirectory() as folder:
        root = FakeRoot(Path(folder))
        try:
            chosen = before[find(root, "", before).index]
        except MicrophoneAbsentError:
            absent(root, "", after)
        else:
            assert after[find(root, "", after).index] == chosen


@settings(max_examples=60, deadline=None)
@given(
    boots=two_boots(),
    text=st.sampled_from(["", "usb", "USB PnP", "a", "loop", "dummy", "vc4", "usb:0d8c:0014"])
    | st.text(max_size=3),
)
def test_nothing_silent_is_ever_picked(
    boots: tuple[dict[int, Hardware], dict[int, Hardware]], text: str
) -> None:
    """A08, B12: no output, and no virtual card that wasn't named by its id."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            thing = boots[0][find(FakeRoot(Path(folder)), text, boots[0]).index]
        except (MicrophoneAbsentError, MicrophoneAmbiguousError, SettingsError):
            return
        assert thing.inputs
        assert thing not in {LOOPBACK, DUMMY}


def test_a_microphone_is_found_again_after_a_reboot(root: FakeRoot) -> None:
    """B01: a Pi 5 with an AudioMoth that was card 2 and is card 0."""
    moth = audiomoth("1-1", None)
    card = find(root, "", {0: HDMI_0, 1: HDMI_1, 2: moth})
    assert find(root, card.identity, {0: moth, 1: HDMI_0, 2: HDMI_1}).index == 0


def test_before_usb_is_there_the_microphone_is_absent_and_no_other_is_taken(
    root: FakeRoot,
) -> None:
    """B02: on some boots the program is faster than USB; the same question finds it later."""
    text = find(root, "", {0: HDMI_0, 1: c_media()}).identity
    said = absent(root, text, {0: HDMI_0, 1: HIFIBERRY})
    assert text in said
    assert "snd_rpi_hifiberry_dacplusadc (card:sndrpihifiberry): another card" in said
    assert find(root, text, {0: HDMI_0, 1: HIFIBERRY, 2: c_media()}).id == "Device"


def test_nothing_needs_to_be_chosen_again_after_a_power_cycle(root: FakeRoot) -> None:
    """B03, B11: away, and back at the same port under another number."""
    text = find(root, "", {0: HEADPHONES, 1: c_media()}).identity
    absent(root, text, {0: HEADPHONES})
    assert find(root, text, {0: HEADPHONES, 2: c_media()}).index == 2


@pytest.mark.parametrize("text", ["port:1-1.2", "usb:0d8c:0014", "card:Device", "pnp sound"])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 31])
def test_every_kind_of_text_is_deaf_to_numbers(root: FakeRoot, text: str, number: int) -> None:
    """B04, B05, B07: card 1 or 2 at random, 1 or 3 at each restart, numbers with gaps."""
    others = [index for index in (0, 1, 2, 7) if index != number]
    cards = dict(zip(others, (HEADPHONES, HDMI_0, HDMI_1), strict=False))
    assert find(root, text, {**cards, number: c_media()}).index == number


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_a_sound_hat_is_found_between_two_hdmi_outputs(
    root: FakeRoot, order: tuple[int, int, int]
) -> None:
    """B08: HiFiBerry and two vc4-hdmi in random order."""
    cards = dict(zip(order, (HDMI_0, HIFIBERRY, HDMI_1), strict=True))
    for text in ("", "card:sndrpihifiberry", "HiFiBerry"):
        assert find(root, text, cards).name == HIFIBERRY.name


def test_a_new_card_leaves_the_others_their_identity(root: FakeRoot) -> None:
    """B09: what is kept under a microphone's identity stays with it."""
    before = find(root, "", {0: HDMI_0, 1: c_media("1-1.2")})
    new = c_media("1-1.1")  # of the same model, and found first
    after = find(root, before.identity, {0: HDMI_0, 1: new, 2: c_media("1-1.2")})
    assert (after.identity, after.index, after.id) == (before.identity, 2, "Device_1")


def test_a_port_is_found_by_its_controller_where_buses_swap(root: FakeRoot) -> None:
    """B10: a Pi 5 has two USB controllers, and bus numbers follow the order of probing."""
    upper = c_media("1-1", controller=PI5_FIRST)
    lower = c_media("3-1", controller=PI5_SECOND)
    text = find(root, "port:3-1", {0: upper, 1: lower}).identity
    swapped = {
        0: c_media("3-1", controller=PI5_FIRST),
        1: c_media("1-1", controller=PI5_SECOND),
    }
    assert swapped[find(root, text, swapped).index].controller == PI5_SECOND
