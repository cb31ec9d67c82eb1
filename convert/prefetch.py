"""Batches of lessons, prepared in a thread while the student learns."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convert.lessons import Batch, Lessons

BATCH = 64
QUEUE_BATCHES = 4
LESSON_TIMEOUT_S = 600.0


class Prefetch:
    """Use it as a context manager."""

    def __init__(self, lessons: Lessons) -> None:
        self._lessons = lessons
        self._queue: queue.Queue[Batch | Exception] = queue.Queue(QUEUE_BATCHES)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lessons", daemon=True)

    def __enter__(self) -> Prefetch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        while not self._queue.empty():
            self._queue.get_nowait()
        self._thread.join(timeout=LESSON_TIMEOUT_S)

    def get(self) -> Batch:
        """The next batch."""
        item = self._queue.get(timeout=LESSON_TIMEOUT_S)
        if isinstance(item, Exception):
            raise item
        return item

    def _run(self) -> None:
        try:
            for batch in self._lessons.batches(BATCH):
                self._queue.put(batch)
                if self._stop.is_set():
                    return
        except Exception as error:  # noqa: BLE001  (handed to the thread that waits)
            self._queue.put(error)
