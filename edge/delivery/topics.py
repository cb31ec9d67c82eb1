"""Where things are said: `<prefix>/<node>/<leaf>`, the prefix in ISA-95 manner (site/area/line)."""

from __future__ import annotations

EVENT, STATE, HEALTH, AVAILABILITY = "event", "state", "health", "availability"
COMMAND, RESULT = "cmd", "cmd/result"
ONLINE, OFFLINE = b"online", b"offline"


def topic_of(prefix: str, node: str, leaf: str) -> str:
    """One of a node's topics."""
    return f"{prefix}/{node}/{leaf}"
