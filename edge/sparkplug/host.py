"""Whether the primary host is there: its STATE messages, read and put in order by their time."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

MAX_BYTES = 4_096


class _State(msgspec.Struct, frozen=True):
    online: bool
    timestamp: Annotated[int, Meta(ge=0, le=2**53)]  # milliseconds since 1970, UTC


class PrimaryHost:
    """What one server has said of one host.

    A host that comes back writes a later time than its will had; a STATE with an earlier time than
    one that was seen is late, and says nothing about now.
    """

    def __init__(self) -> None:
        self.online: bool | None = None  # None: nothing was heard of it
        self._latest_ms = -1

    def hear(self, payload: bytes) -> bool:
        """Take a STATE message; whether it counts."""
        if len(payload) > MAX_BYTES:
            return False
        try:
            state = msgspec.json.decode(payload, type=_State)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return False  # `OFFLINE` in plain text was the way of Sparkplug 2.2
        if state.timestamp < self._latest_ms:
            return False
        self._latest_ms, self.online = state.timestamp, state.online
        return True
