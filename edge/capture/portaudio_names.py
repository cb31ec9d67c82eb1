"""Which of PortAudio's devices belongs to a sound card.

PortAudio lists once, when it is initialised, and names devices by the numbers that cards had then:
`USB PnP Sound Device: Audio (hw:1,0)`. So the list must be newer than the cards' last change;
where it is not, a name that no longer fits its number is taken for no card at all.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from edge.capture.cards import Card

PortAudioDevice = tuple[int, str, int]  # index, name, largest number of input channels

# pa_linux_alsa.c: card's name, device's name, (hw:card,device); some builds add the subdevice.
_HARDWARE = re.compile(r"\((?:plug)?hw:(\d+),(\d+)(?:,\d+)?\)(?: \{.*\})?\Z")


def portaudio_device(card: Card, devices: Iterable[PortAudioDevice]) -> int | None:
    """PortAudio's index of a card's input, or None: unknown to it, output only, or held.

    Args:
        card: the card, listed just now.
        devices: what PortAudio lists.
    """
    for index, name, input_channels in devices:
        if input_channels > 0 and portaudio_matches(name, card):
            return index
    return None


def portaudio_matches(name: str, card: Card) -> bool:
    """Whether PortAudio's name of a device means an input of this card, as it is numbered now."""
    card_name = _ascii(f"{card.name}: ")
    tail = _HARDWARE.search(name)
    if tail is None or not _ascii(name).startswith(card_name):
        return False
    return int(tail[1]) == card.index and int(tail[2]) in card.capture_devices


def _ascii(text: str) -> str:
    """Without other letters: PyAudio guesses the encoding of names, and may guess wrong."""
    return text.encode("ascii", "ignore").decode()
