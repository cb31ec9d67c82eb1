"""The primary host's STATE: what counts, and what is late or no STATE at all."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.sparkplug.host import PrimaryHost


def state(timestamp_ms: int, *, online: bool) -> bytes:
    return json.dumps({"online": online, "timestamp": timestamp_ms}).encode()


def test_nothing_is_known_at_first() -> None:
    assert PrimaryHost().online is None


def test_a_later_word_counts_and_an_earlier_one_does_not() -> None:
    """G05: a stale `offline`, as from the will of a session long gone, changes nothing."""
    host = PrimaryHost()
    assert host.hear(state(2_000, online=True))
    assert not host.hear(state(1_999, online=False))
    assert host.online is True
    assert host.hear(state(2_000, online=False)), "the will of the same session"
    assert host.online is False


@pytest.mark.parametrize(
    "payload",
    [
        b"OFFLINE", b"ONLINE", b"", b"{}", b"[]", b'{"online": true}', b'{"timestamp": 1}',
        b'{"online": "true", "timestamp": 1}', b'{"online": true, "timestamp": -1}',
        b'{"online": true, "timestamp": "1"}', b"\xff\xfe", b"[" * 4_000, b" " * 5_000,
    ],
)  # fmt: skip
def test_what_is_no_state_says_nothing(payload: bytes) -> None:
    host = PrimaryHost()
    assert not host.hear(payload)
    assert host.online is None


def test_more_keys_do_no_harm() -> None:
    """Sparkplug 3.0's drafts had a bdSeq there."""
    host = PrimaryHost()
    assert host.hear(b'{"online": true, "timestamp": 1, "bdSeq": 3}')


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), min_size=1))
def test_it_stands_as_the_latest_word_says(words: list[tuple[int, bool]]) -> None:
    host = PrimaryHost()
    latest, expected = -1, False
    for timestamp_ms, online in words:
        host.hear(state(timestamp_ms, online=online))
        if timestamp_ms >= latest:
            latest, expected = timestamp_ms, online
    assert host.online is expected
