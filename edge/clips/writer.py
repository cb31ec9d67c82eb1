"""Clips to disk, in a thread of their own, at a low priority: whoever brings a clip never waits.

A file appears under its name when all of it was written. Nothing is synced: that would hold up the
events, which are, and after a power cut the last clip may be empty. Nothing raises either; what
goes wrong is counted, and logged now and then.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from edge.clips.complaint import Complaint
from edge.clips.flac import flac_bytes
from edge.clips.names import PICTURE, WRITING, sound_path
from edge.clips.retention import MB, free_bytes, retain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge.clips.clip import Clip
    from edge.clips.retention import Limits

log = logging.getLogger(__name__)

MOST_WAITING, MOST_WAITING_BYTES = 64, 8 << 20  # a single clip may be larger
TIDY_S, TIDY_CLIPS = 60.0, 20  # a pass of the retention is due after so long, or so many
PICTURE_BYTES = 100_000  # more than one takes
NICENESS = 10
WRITE_WHAT, TIDY_WHAT, DRAW_WHAT = "can't write a clip", "can't tidy the clips", "can't draw a clip"
LOW_WHAT = "no clips are written, events are"


class ClipStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How it goes, since the start."""

    written: int = 0  # clips whose sound is on disk
    dropped: int = 0  # that came too fast, too late, or on a full disk
    failed: int = 0  # attempts to write, draw or tidy that ended with an error
    low_disk: bool = False  # too little is free: no clips are written
    bytes: int = 0  # on disk, of all clips
    count: int = 0


class ClipWriter:
    """Begins at once, with a pass of the retention; `close` ends it.

    Args:
        folder: of the clips; made when it is missing, whenever that is.
        limits: what may be kept there.
        utc_s: the wall clock, in seconds since 1970.
    """

    def __init__(
        self, folder: Path, limits: Limits, utc_s: Callable[[], float] = time.time
    ) -> None:
        self._folder, self._limits, self._utc_s = folder, limits, utc_s
        self._changed = threading.Condition()
        self._waiting: deque[Clip] = deque()
        self._closed = False
        self._status = ClipStatus()
        self._latest: dict[str, Path] = {}
        self._complaint = Complaint()
        self._tidied_s: float | None = None
        self._since_tidied = 0  # clips
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    @property
    def status(self) -> ClipStatus:
        """As of now."""
        with self._changed:
            return self._status

    def latest(self, name: str) -> Path | None:
        """The sound of an input's last clip; its picture lies beside it."""
        path = self._latest.get(name)
        return path if path and path.is_file() else None

    def put(self, clip: Clip) -> None:
        """Have a clip written; where too many wait, the oldest of them is lost instead."""
        with self._changed:
            if self._closed:
                self._count(dropped=1)
                return
            while self._waiting and not self._has_room(clip):
                self._waiting.popleft()
                self._count(dropped=1)
            self._waiting.append(clip)
            self._changed.notify_all()

    def lost(self, clips: int) -> None:
        """So many were asked for, and can't be had any more."""
        with self._changed:
            self._count(dropped=clips)

    def close(self, timeout_s: float) -> None:
        """Write what waits, as far as there is time for it."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            self._count(dropped=len(self._waiting))
            self._waiting.clear()

    def _has_room(self, clip: Clip) -> bool:
        waiting = sum(c.bytes for c in self._waiting) + clip.bytes
        return len(self._waiting) < MOST_WAITING and waiting <= MOST_WAITING_BYTES

    def _count(self, **more: int) -> None:
        """Add to counters; the caller holds the lock."""
        fresh = {name: getattr(self._status, name) + number for name, number in more.items()}
        self._status = msgspec.structs.replace(self._status, **fresh)

    def _run(self) -> None:
        _step_back()
        while True:
            if self._pause_s() <= 0.0:
                self._guarded(TIDY_WHAT, self._tidy)
            clip = self._next()
            if clip is not None:
                self._guarded(WRITE_WHAT, partial(self._write, clip))
            elif self._closed:
                return

    def _guarded(self, what: str, task: Callable[[], None]) -> None:
        """Run a part of the work; whatever it fails with is no reason to stop."""
        try:
            task()
        except Exception as error:  # noqa: BLE001  (a clip is never worth the thread)
            self._complaint.say(what, _reason(error))
            with self._changed:
                self._count(failed=1)
        else:
            self._complaint.over(what)

    def _pause_s(self) -> float:
        """How long until a pass of the retention is due."""
        if self._tidied_s is None or self._since_tidied >= TIDY_CLIPS:
            return 0.0
        return self._tidied_s + TIDY_S - time.monotonic()

    def _next(self) -> Clip | None:
        """The oldest that waits; None when there is none by the time of the next pass."""
        with self._changed:
            pause_s = max(0.0, self._pause_s())
            self._changed.wait_for(lambda: self._waiting or self._closed, pause_s)
            return self._waiting.popleft() if self._waiting else None

    def _tidy(self, room_bytes: int = 0) -> None:
        """A pass of the retention, and so much room beyond what must be free."""
        self._tidied_s, self._since_tidied = time.monotonic(), 0
        if not self._folder.is_dir():
            return
        needed = self._limits.min_free_bytes + room_bytes
        kept = retain(self._folder, self._limits._replace(min_free_bytes=needed), self._utc_s())
        low = free_bytes(self._folder) < self._limits.min_free_bytes
        with self._changed:
            self._status = msgspec.structs.replace(
                self._status, bytes=kept.bytes, count=kept.count, low_disk=low
            )
        if kept.troubles:
            raise OSError(f"{kept.troubles[0]}, the first of {len(kept.troubles)}")

    def _write(self, clip: Clip) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        if not self._has_space(clip.bytes + PICTURE_BYTES):
            return
        path = sound_path(self._folder, clip.event_id)
        path.parent.mkdir(exist_ok=True)
        size = _place(path, flac_bytes(clip))
        with self._changed:
            self._count(written=1, count=1, bytes=size)
        self._since_tidied += 1
        self._guarded(DRAW_WHAT, partial(self._draw, clip, path))
        self._latest[clip.input] = path

    def _draw(self, clip: Clip, path: Path) -> None:
        from edge.clips.picture import clip_picture  # noqa: PLC0415  (Pillow, if there is an event)

        size = _place(path.with_suffix(PICTURE), clip_picture(clip))
        with self._changed:
            self._count(bytes=size)

    def _has_space(self, size_bytes: int) -> bool:
        """Whether a clip may be written; older ones make room for it if they can."""
        needed = self._limits.min_free_bytes + size_bytes
        free = free_bytes(self._folder)
        if free < needed and self._status.count:
            self._guarded(TIDY_WHAT, partial(self._tidy, size_bytes))
            free = free_bytes(self._folder)
        low = free < needed
        if low:
            least_mb = self._limits.min_free_bytes / MB
            self._complaint.say(LOW_WHAT, f"under {least_mb:.0f} MB are free in {self._folder}")
        else:
            self._complaint.over(LOW_WHAT)
        with self._changed:
            self._status = msgspec.structs.replace(self._status, low_disk=low)
            self._count(dropped=int(low))
        return not low


def _place(path: Path, data: bytes) -> int:
    """Write a file whole; returns its length."""
    part = path.with_name(path.name + WRITING)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            part.unlink(missing_ok=True)
        raise
    return len(data)


def _step_back() -> None:
    """Let whatever else runs go first. On Linux a thread has a priority of its own."""
    if sys.platform != "linux":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
    except OSError as error:
        log.info("clips are written at normal priority: %s", error.strerror)


def _reason(error: Exception) -> str:
    text = error.strerror if isinstance(error, OSError) else None
    return text or next(iter(str(error).splitlines()), type(error).__name__)
