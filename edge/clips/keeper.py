"""Listens along with the node, and has a clip written of each event once its sound is complete.

Nothing here waits or raises because of a disk: the loop that brings sound and events only copies
samples. Memory is bounded: the recent sound of each input, a queue of clips, and the clip at work.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from edge.clips.clip import Box, Clip
from edge.clips.names import ulid_utc_s
from edge.clips.recent import RecentSound
from edge.clips.retention import Limits
from edge.clips.writer import ClipStatus, ClipWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from edge.capture.sound import Block
    from edge.clips.settings import ClipSettings

REPORTED_S = 10.0  # how long after it is over an event may be told, and still has all of its sound
PATIENCE_S = 10.0  # how much longer than it should take a clip waits for its sound
MOST_INCOMPLETE = 64  # of an input


class _Asked(NamedTuple):
    """An event whose sound isn't complete yet."""

    event_id: str
    box: Box
    start_s: float
    end_s: float
    give_up_s: float  # monotonic


class _Heard:
    """One input."""

    def __init__(self, length_s: float) -> None:
        self.recent = RecentSound(length_s)
        self.asked: deque[_Asked] = deque()


class ClipKeeper:
    """Clips of all inputs. Used from the node's loop; where clips are disabled, it does nothing.

    Args:
        settings: what to keep.
        folder: where; made when there is something to write.
        names: of the inputs.
        utc_s: the wall clock, in seconds since 1970.
    """

    def __init__(
        self,
        settings: ClipSettings,
        folder: Path,
        names: Iterable[str],
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._inputs = {name: _Heard(settings.longest_s + REPORTED_S) for name in names}
        self._writer: ClipWriter | None = None
        if settings.enabled:
            self._writer = ClipWriter(folder, Limits.of(settings), utc_s)

    @property
    def status(self) -> ClipStatus:
        """Counters as of now."""
        return self._writer.status if self._writer else ClipStatus()

    def hear(self, name: str, block: Block) -> None:
        """An input's next sound."""
        if self._writer is None:
            return
        self._inputs[name].recent.write(block)
        self._hand_over(name, lambda asked: asked.end_s <= block.end_s)
        now = time.monotonic()
        for each in self._inputs:  # an input that stopped without a word among them
            self._hand_over(each, lambda asked: asked.give_up_s < now)

    def event(
        self,
        name: str,
        event_id: str,
        start_s: float,
        end_s: float,
        low_hz: float,
        high_hz: float,
    ) -> None:
        """An input's event, in seconds of its stream; its clip will bear the event's id.

        Raises:
            ValueError: the id is no ULID.
        """
        if self._writer is None:
            return
        ulid_utc_s(event_id)  # what would be no name of a file is refused here
        settings, heard = self._settings, self._inputs[name]
        from_s = start_s - settings.before_s
        until_s = min(end_s + settings.after_s, from_s + settings.longest_s)
        heard_s = heard.recent.end_s
        missing_s = 0.0 if heard_s is None else max(0.0, until_s - heard_s)
        asked = _Asked(
            event_id,
            Box(start_s, end_s, low_hz, high_hz),
            from_s,
            until_s,
            time.monotonic() + missing_s + PATIENCE_S,
        )
        heard.asked.append(asked)
        if not missing_s:
            self._hand_over(name, lambda each: each is asked)
        if len(heard.asked) > MOST_INCOMPLETE:
            heard.asked.popleft()
            self._writer.lost(1)

    def lost(self, name: str) -> None:
        """An input has ended or isn't heard: its clips have all the sound that they will get."""
        self._hand_over(name, lambda _: True)

    def latest(self, name: str) -> Path | None:
        """The sound of an input's last clip since the start; its picture lies beside it."""
        return self._writer.latest(name) if self._writer else None

    def close(self, timeout_s: float) -> None:
        """Write what is there, as far as there is time for it; what isn't written is counted."""
        for name in self._inputs:
            self.lost(name)
        if self._writer:
            self._writer.close(timeout_s)

    def _hand_over(self, name: str, complete: Callable[[_Asked], bool]) -> None:
        """Give the writer what has all of its sound."""
        heard, writer = self._inputs[name], self._writer
        if writer is None or not heard.asked:
            return
        for asked in [each for each in heard.asked if complete(each)]:
            heard.asked.remove(asked)
            pieces = heard.recent.cut_out(asked.start_s, asked.end_s)
            if pieces:
                writer.put(Clip(name, asked.event_id, asked.box, pieces))
            else:
                writer.lost(1)
