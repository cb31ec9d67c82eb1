"""Which sound card a configuration means: `device = "port:..."`, and never a card's number.

| text | means |
|---|---|
| `port:1f00200000.usb-1.2` | what is plugged into this USB port, by the controller's address |
| `port:1-1.2` | the same by bus number, sure where there is one controller |
| `usb:0d8c:0014:SERIAL`, `usb:0d8c:0014` | this device, this model |
| `card:Device` | ALSA's card id |
| other text | a part of the name, in any case |
| empty | the first that captures: USB before others, then by port; not by number |
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import msgspec

from edge.errors import MicrophoneAbsentError, MicrophoneAmbiguousError, SettingsError
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from edge.capture.cards import Card

Kind = Literal["first", "port", "usb", "card", "name"]

_FORMS: dict[Kind, tuple[re.Pattern[str], str, str]] = {
    "port": (re.compile(r"\S+-\d+(\.\d+)*"), "a USB port", "port:1-1.2"),
    "usb": (
        re.compile(r"[0-9a-f]{4}:[0-9a-f]{4}(:.+)?", re.IGNORECASE),
        "a USB device",
        "usb:0d8c:0014 or usb:0d8c:0014:SERIAL",
    ),
    "card": (re.compile(r"(?!\d+$)[A-Za-z0-9_-]{1,15}"), "an ALSA card id", "card:Device"),
}
_NUMBERED = re.compile(r"\d+|:\d+(,\d+)*|.*\b(plug)?hw:.*", re.IGNORECASE)
_MODEL_LENGTH = len("0d8c:0014")


class Identity(msgspec.Struct, frozen=True):
    """What to look for; made by `parse_identity`."""

    kind: Kind
    value: str = ""

    def __str__(self) -> str:
        return self.value if self.kind in {"first", "name"} else f"{self.kind}:{self.value}"

    def matches(self, card: Card) -> bool:
        """Whether the card is what the text says, whatever else speaks against it."""
        if self.kind == "port":
            return self.value in card.usb_port_names
        if self.kind == "usb":
            return self.value in {card.vendor_product, f"{card.vendor_product}:{card.serial}"}
        if self.kind == "card":
            return self.value == card.id
        made_by = card.long_name.split(" at ")[0]  # then follows where it is plugged in
        return any(self.value.lower() in text.lower() for text in (card.name, made_by, card.id))


def parse_identity(text: str) -> Identity:
    """What a configuration's `device` means.

    Raises:
        SettingsError: a prefix without what belongs after it, or a card's number.
    """
    text = text.strip()
    if not text:
        return Identity("first")
    prefix, colon, value = text.partition(":")
    for kind, (form, what, example) in _FORMS.items():
        if colon and prefix.lower() == kind:
            if not form.fullmatch(value):
                said = f'device = "{printable(text)}": not {what}; write it like {example}'
                raise SettingsError(said)
            return Identity(kind, _lower_model(value) if kind == "usb" else value)
    if _NUMBERED.fullmatch(text):
        raise SettingsError(
            f'device = "{printable(text)}": the numbers of sound cards change from boot to boot; '
            "write port:1-1.2, usb:0d8c:0014, card:Device or a part of the name"
        )
    return Identity("name", text)


def resolve(identity: Identity, cards: Sequence[Card]) -> Card:
    """The card that is meant, among those that are here now.

    Raises:
        MicrophoneAbsentError: none fits; says which are here and what speaks against each.
        MicrophoneAmbiguousError: several fit; says how to tell them apart.
    """
    fitting = [card for card in cards if why_not(identity, card) is None]
    if not fitting:
        raise MicrophoneAbsentError(_absent(identity, cards))
    if identity.kind == "first":
        return min(fitting, key=_stable_order)
    if identity.kind == "card":
        fitting += _twins(fitting[0], cards)
    if len(fitting) > 1:
        raise MicrophoneAmbiguousError(
            f"{_sought(identity)} fits {len(fitting)} microphones; say which, best by port: "
            + "; ".join(card.describe() for card in fitting)
        )
    return fitting[0]


def why_not(identity: Identity, card: Card) -> str | None:
    """What speaks against a card, for a person; None if it is one that is meant."""
    named_by_id = identity.kind == "card" and identity.matches(card)
    if card.virtual and not named_by_id:
        return f"{card.virtual}: never picked unless named by card:{card.id}"
    if not card.captures:
        return "output only" if card.playback_devices else "no sound in or out"
    return None if identity.matches(card) else "another card"


def is_ambiguous(identity: Identity, card: Card) -> bool:
    """Whether a second card of the same model could be taken for this one, now or later.

    True for the first card, a part of a name, a model without a serial number, and an id that the
    kernel made of a USB device's name: `Device` and `Device_1` swap like numbers. What to do about
    it is to write `card.identity`.
    """
    if identity.kind == "card":
        return card.vendor_product is not None and _made_of_name(card)
    return identity.kind in {"first", "name"} or (
        identity.kind == "usb" and len(identity.value) == _MODEL_LENGTH
    )


def _twins(card: Card, cards: Iterable[Card]) -> list[Card]:
    """Others of its model whose ids depend on which was found first, as its own does."""
    if not (card.vendor_product and _made_of_name(card)):
        return []
    return [
        other
        for other in cards
        if other.id != card.id
        and other.vendor_product == card.vendor_product
        and other.captures
        and _made_of_name(other)
    ]


def _made_of_name(card: Card) -> bool:
    """Whether the kernel made the id, from a word of the name, and not an administrator (udev).

    The first letter is left out: where a word begins with a digit, the kernel puts one before it
    (sound/core/init.c, copy_valid_id_string).
    """
    letters = re.sub(r"[^A-Za-z0-9]", "", f"{card.name} {card.long_name}")
    return card.id.split("_")[0][1:] in letters


def _stable_order(card: Card) -> tuple[bool, list[int], str, str]:
    """USB first: boards have inputs of their own to which nothing is connected (Jetson's APE)."""
    numbers = [int(digits) for digits in re.findall(r"\d+", card.usb_port or "")]
    return card.usb_port is None and card.vendor_product is None, numbers, card.identity, card.id


def _lower_model(value: str) -> str:
    return value[:_MODEL_LENGTH].lower() + value[_MODEL_LENGTH:]


def _sought(identity: Identity) -> str:
    return f'device = "{printable(str(identity))}"'


def _absent(identity: Identity, cards: Sequence[Card]) -> str:
    if not cards:
        return f"no microphone for {_sought(identity)}: no sound card is here; plug it in"
    reasons = "; ".join(f"{c.name} ({c.identity}): {why_not(identity, c)}" for c in cards)
    return f"no microphone for {_sought(identity)}; plug it in, or name another. Here are {reasons}"
