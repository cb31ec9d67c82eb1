"""What signals ask of a node: to stop, or to read its configuration anew."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def answered(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and SIGINT stop, SIGHUP reloads, unless it means that a terminal has gone.

    Elsewhere than in the main thread there are no signals to catch.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    actions = {signal.SIGTERM: stop, signal.SIGINT: stop}
    if not _has_terminal():
        actions[signal.SIGHUP] = reload
    previous = {
        number: signal.signal(number, lambda *_, act=act: act()) for number, act in actions.items()
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _has_terminal() -> bool:
    try:
        return os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or none of the system's
        return False
