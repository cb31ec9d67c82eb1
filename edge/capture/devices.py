"""`earpatch devices`: which microphones are here, and the line of the configuration for each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from edge.capture.cards import Card, list_cards
from edge.capture.child import RecordingChild
from edge.capture.holder import holder
from edge.capture.identity import Identity, why_not
from edge.capture.microphone import PORTAUDIO
from edge.capture.portaudio_names import portaudio_device

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LIST_WITHIN_S = 15.0  # PortAudio opens every device to see what it can


class PortAudioDevice(msgspec.Struct, frozen=True):
    """One device as PortAudio lists it."""

    index: int
    name: str
    channels: int  # that it can record
    rate_hz: int
    rates_hz: list[int] = []


class Microphone(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be recorded from, or why it can't."""

    name: str
    device: str  # for the configuration
    usable: bool
    note: str  # why not, or what to know
    channels: int | None = None
    rates_hz: list[int] = []
    portaudio: str | None = None  # PortAudio's name of it


class Listing(msgspec.Struct, frozen=True):
    """All of it; `--json` prints it as it is."""

    microphones: list[Microphone]
    trouble: str | None  # why PortAudio could not be asked


def list_microphones(root: Path) -> Listing:
    """Cards as the kernel has them beside devices as PortAudio has them, listed just now."""
    cards = list_cards(root)
    devices, trouble = _portaudio_devices()
    found = [_of_card(card, devices, root, asked=trouble is None) for card in cards]
    hardware = {m.portaudio for m in found}
    found += [
        Microphone(
            name=device.name,
            device=device.name,
            usable=True,
            note="a sound server or a plug-in, not a card: it may give another microphone's sound",
            channels=device.channels,
            rates_hz=device.rates_hz,
            portaudio=device.name,
        )
        for device in devices
        if device.channels and device.name not in hardware and "(hw:" not in device.name
    ]
    return Listing(found, trouble)


def text_of(listing: Listing) -> Iterator[str]:
    """What a technician reads, line by line."""
    if listing.trouble:
        yield f"PortAudio could not be asked: {listing.trouble}"
    usable = [m for m in listing.microphones if m.usable]
    for each in usable:
        rates = ", ".join(str(rate) for rate in each.rates_hz) or "unknown"
        yield f"{each.name}"
        yield f"    rates {rates} Hz, {each.channels or 'unknown'} channels"
        if each.note:
            yield f"    note: {each.note}"
        yield "    [source]"
        yield '    kind = "microphone"'
        yield f"    device = {msgspec.json.encode(each.device).decode()}"
    if not usable:
        yield "no microphone is here. Plug one in and try again"
    for each in listing.microphones:
        if not each.usable:
            yield f"skipped: {each.name} ({each.device}): {each.note}"


def _of_card(card: Card, devices: list[PortAudioDevice], root: Path, *, asked: bool) -> Microphone:
    reason = why_not(Identity("first"), card)
    index = portaudio_device(card, [(d.index, d.name, d.channels) for d in devices])
    device = next((d for d in devices if d.index == index), None)
    by = holder(card, root=root) if card.captures else None
    note = reason or (f"held by {by}: it can't be opened before that ends" if by else "")
    if not note and device is None and asked:
        note = "PortAudio does not list it, so something holds it; or use backend = 'arecord'"
    return Microphone(
        name=card.describe(),
        device=card.identity,
        usable=reason is None,
        note=note,
        channels=device.channels if device else None,
        rates_hz=device.rates_hz if device else [],
        portaudio=device.name if device else None,
    )


def _portaudio_devices() -> tuple[list[PortAudioDevice], str | None]:
    """What a child says, which can hang and crash without harm."""
    child = RecordingChild([*PORTAUDIO, "--list"])
    deadline = time.monotonic() + LIST_WITHIN_S
    try:
        while time.monotonic() < deadline:
            heard = child.wait(0.25)
            for told in heard.told:
                if told.devices is not None:
                    return msgspec.convert(told.devices, list[PortAudioDevice]), None
            if heard.over:
                return [], child.last_words()
    finally:
        child.kill()
    return [], f"no answer within {LIST_WITHIN_S:g} s; is a sound server stuck?"
