"""A thread beside the loop, for what would hold it up: one thing at a time."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

NICE = 10


class Worker:
    """Begins something, and hands what came of it to the loop. No method waits."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._then: Callable[[], None] = lambda: None

    @property
    def busy(self) -> bool:
        """Whether something is going on, or has not been handed over yet."""
        return self._thread is not None

    def begin(self, do: Callable[[], Callable[[], None]]) -> None:
        """Call `do` in a thread; what it returns is called by the loop. It raises nothing."""

        def run() -> None:
            with contextlib.suppress(OSError):  # a sandbox may not allow it, and it works without
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            self._then = do()

        self._thread = threading.Thread(target=run, name="worker", daemon=True)
        self._thread.start()

    def work(self) -> None:
        """Hand over what has come to its end."""
        if self._thread is None or self._thread.is_alive():
            return
        self._thread = None
        then, self._then = self._then, lambda: None
        then()
