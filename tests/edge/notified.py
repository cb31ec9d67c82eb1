"""A service manager of our own: a real datagram socket, and what was told to it."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

DEADLINE_S = 60.0


class Manager:
    """Listens where `NOTIFY_SOCKET` leads; use it as a context manager."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.told: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self) -> Manager:
        self._socket.bind(self.address)
        self._socket.setblocking(False)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def hear(self) -> list[dict[str, str]]:
        """What has come since the last call."""
        new: list[dict[str, str]] = []
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                self.told += new
                return new
            new.append(dict(line.split("=", 1) for line in text.splitlines()))

    def wait_for(self, key: str, condition: Callable[[str], bool] = bool) -> dict[str, str]:
        """The next message that has a key, and a value that is wanted."""
        deadline = time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline:
            for message in self.hear():
                if condition(message.get(key, "")):
                    return message
            time.sleep(0.02)
        pytest.fail(f"nobody told {key}; told were {self.told[-5:]}")
