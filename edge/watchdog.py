"""What systemd is told (sd_notify(3)): ready, alive, and how it goes; nothing without systemd."""

from __future__ import annotations

import logging
import os
import socket
import time

log = logging.getLogger(__name__)

LONGEST_STATUS = 200


class Watchdog:
    """Feeds the service manager's watchdog: only the loop that scores may call `alive`.

    Args:
        address: the manager's socket; by default what systemd gives in `NOTIFY_SOCKET`.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._ready = False
        self._told_at = 0.0

    def alive(self, status: str) -> None:
        """A window was scored, or why none can be is known and told."""
        now = time.monotonic()
        if self._ready and now - self._told_at < 1.0:
            return
        self._told_at = now
        lines = [f"STATUS={status[:LONGEST_STATUS]}", "WATCHDOG=1"]
        if not self._ready:
            lines.insert(0, "READY=1")
        self._ready = True
        self._tell("\n".join(lines))

    def stopping(self) -> None:
        """The node is about to end."""
        self._tell("STOPPING=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        # A leading "@" is an abstract address.
        address = "\0" + self._address[1:] if self._address[0] == "@" else self._address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as link:
            link.setblocking(False)
            try:
                link.sendto(text.encode(), address)
            except OSError as error:
                log.warning("the service manager can't be told: %s", error.strerror)
