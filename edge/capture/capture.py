"""One input: a source in a thread of its own, its state, and a ring of what is fit to be scored."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from typing import TYPE_CHECKING

import msgspec

from edge.capture.level import LevelWatch
from edge.capture.liveness import Liveness
from edge.capture.ring import SoundRing
from edge.capture.sound import Block, Outage, State
from edge.errors import EarpatchError, RecordingError

if TYPE_CHECKING:
    from edge.capture.level import Loud
    from edge.capture.settings import LevelRule, LivenessSettings
    from edge.capture.sound import Source

RING_S, RING_RATE_HZ = 4.0, 48_000
READ_S = 0.2  # the more at once, the less often a loop turns, and the later an event is told
OVERLOAD_S = 60.0
WAIT_S = 0.5  # longest wait before a thread looks whether it should stop


class InputStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How an input is doing."""

    state: State
    reason: str
    state_age_s: float
    level_dbfs: float | None  # of the last block; None is digital silence, or no sound
    last_frame_age_s: float | None  # None before the first
    dropped_s: float  # lost because scoring was too slow
    overloaded: bool  # whether an open source lost sound in the last minute, here or in its driver


class Capture:
    """Runs a source in a thread that fills a ring; use it as a context manager.

    Args:
        source: what to listen to.
        liveness: when it counts as heard.
        rules: plain level alarms, watched on all sound that comes, clipped or not.
    """

    def __init__(
        self, source: Source, liveness: LivenessSettings, rules: tuple[LevelRule, ...] = ()
    ) -> None:
        self.source = source
        self.ring = SoundRing(round(RING_S * RING_RATE_HZ))
        self._liveness = Liveness(liveness)
        self._watch = LevelWatch(rules)
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._last_frame: float | None = None
        self._said = time.monotonic()  # when the source gave something last
        self._lost: float | None = None  # when an open source lost sound last
        self._entered = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self.ring.close()
        self._thread.join(timeout=4 * WAIT_S)

    @property
    def state(self) -> State:
        """The state alone, for a loop that asks again and again."""
        return self._liveness.state

    @property
    def status(self) -> InputStatus:
        """As of now."""
        heard, last, now = self._liveness, self._last_frame, time.monotonic()
        level = heard.level_dbfs
        return InputStatus(
            state=heard.state,
            reason=heard.reason,
            state_age_s=round(now - self._entered, 1),
            level_dbfs=None if level == float("-inf") else round(level, 1),
            last_frame_age_s=None if last is None else round(now - last, 2),
            dropped_s=round(self.ring.dropped_s, 3),
            overloaded=self._lost is not None and now - self._lost < OVERLOAD_S,
        )

    @property
    def mute_s(self) -> float:
        """How long the source has given neither sound nor a reason for its absence."""
        return time.monotonic() - self._said

    @property
    def ended(self) -> bool:
        """Whether the sound is over and all of it was read.

        Raises:
            EarpatchError: what the source failed with.
        """
        if not self.ring.ended:
            return False
        if isinstance(self._failure, EarpatchError):
            raise self._failure
        if self._failure is not None:
            raise RecordingError(f"{self.source.name}: {self._failure}") from self._failure
        return True

    def read(self, *, timeout_s: float = WAIT_S) -> Block | None:
        """The next sound that is fit to be scored; None when none came in time.

        Waits until it is worth a turn, or the time is up.
        """
        return self.ring.read(at_most_s=READ_S, timeout_s=timeout_s)

    def take_loud(self) -> list[Loud]:
        """What the level rules have found since the last call."""
        return self._watch.take()

    def _run(self) -> None:
        at_s, state, is_open = 0.0, self._liveness.state, False
        items = self.source.blocks(self._stop)
        try:
            for item in items:
                self._said = time.monotonic()
                if isinstance(item, Outage):
                    released = self._liveness.missing(item)
                    at_s, is_open = item.at_s, False
                else:
                    self._last_frame = time.monotonic()
                    if item.cut and is_open:
                        self._lost = self._last_frame
                    is_open = True
                    self._watch.hear(item)
                    released = self._liveness.hear(item)
                    at_s = item.end_s
                if self._liveness.state != state:
                    state, self._entered = self._liveness.state, time.monotonic()
                self._pass_on(released)
            self._pass_on(self._liveness.end(at_s))
        except Exception as error:  # noqa: BLE001  (handed to the reader, who raises it)
            self._failure = error
            self._pass_on(self._liveness.end(at_s))
        finally:
            self.ring.close()
            if isinstance(items, Generator):
                items.close()  # or a microphone's child would go on

    def _pass_on(self, blocks: list[Block]) -> None:
        for block in blocks:
            if self.source.live:
                if not self.ring.write(block):
                    self._lost = time.monotonic()
            else:
                self._wait_and_write(block)

    def _wait_and_write(self, block: Block) -> None:
        """A file and a pipe can wait, so nothing is dropped: write only what fits."""
        while len(block.samples) and not self._stop.is_set():
            room = self.ring.wait_for_room(timeout_s=WAIT_S)
            if not room:
                continue
            if room >= len(block.samples):
                self.ring.write(block)
                return
            self.ring.write(block._replace(samples=block.samples[:room]))
            at_s = block.at_s + room / block.rate_hz
            block = block._replace(samples=block.samples[room:], at_s=at_s, cut=False)
