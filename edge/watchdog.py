"""What systemd is told (sd_notify(3)): ready, alive, and how it goes; nothing without systemd."""

from __future__ import annotations

import logging
import os
import socket
import time

from edge.words import printable

log = logging.getLogger(__name__)

LONGEST_STATUS = 200
EVERY_S = 1.0


class Watchdog:
    """Feeds the service manager's watchdog: only the loop that scores may call `alive`.

    Args:
        address: the manager's socket; by default what systemd gives in `NOTIFY_SOCKET`.
    """

    def __init__(self, address: str | None = None) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
        self._ready = False
        self._told_at = 0.0

    @property
    def due(self) -> bool:
        """Whether `alive` would tell anything now: once a second, and at once what is awaited."""
        return not self._ready or time.monotonic() - self._told_at >= EVERY_S

    def alive(self, status: str) -> None:
        """A window was scored, or why none can be is known and told."""
        if not self.due:
            return
        self._told_at = time.monotonic()
        lines = [f"STATUS={_one_line(status)}", "WATCHDOG=1"]
        if not self._ready:
            lines.insert(0, "READY=1")
        self._ready = True
        self._tell("\n".join(lines))

    def reloading(self) -> None:
        """The configuration is being read anew; the next `alive` or `ready` ends that."""
        self._ready = False
        clock_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={clock_us}")

    def ready(self, status: str) -> None:
        """As before: nothing came of reloading."""
        self._ready = True
        self._tell(f"READY=1\nSTATUS={_one_line(status)}")

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


def _one_line(text: str) -> str:
    """Another line would be another message."""
    return printable(text[:LONGEST_STATUS])
