"""Asking for a card as a configuration does, on a fake root."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from edge.capture.cards import Card, list_cards
from edge.capture.identity import parse_identity, resolve
from edge.errors import MicrophoneAbsentError, MicrophoneAmbiguousError

if TYPE_CHECKING:
    from tests.edge.capture.fake_root import FakeRoot, Hardware


def find(root: FakeRoot, text: str, cards: dict[int, Hardware]) -> Card:
    """What a configuration's text means after a boot with these cards."""
    return resolve(parse_identity(text), list_cards(root.boot(cards).path))


def absent(root: FakeRoot, text: str, cards: dict[int, Hardware]) -> str:
    with pytest.raises(MicrophoneAbsentError) as raised:
        find(root, text, cards)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def ambiguous(root: FakeRoot, text: str, cards: dict[int, Hardware]) -> str:
    with pytest.raises(MicrophoneAmbiguousError) as raised:
        find(root, text, cards)
    assert "\n" not in str(raised.value)
    return str(raised.value)
