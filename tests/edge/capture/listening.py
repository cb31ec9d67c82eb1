"""A capture that runs, all that came out of it, and the states that it went through."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from edge.capture.capture import Capture
from edge.capture.settings import LivenessSettings
from tests.fake_pyaudio.timecode import PERIOD, frames_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from edge.capture.capture import InputStatus
    from edge.capture.sound import Block, Source, State

    FloatArray = NDArray[np.float32]

DEADLINE_S = 60.0
GAP_S = 0.1  # to within which each gap is accounted for
BUSY_S = 0.3  # the same on a machine that runs a whole suite beside; `make faults` is strict
IMPATIENT = LivenessSettings(
    open_within_s=6.0, stalled_after_s=1.0, retry_first_s=0.1, retry_most_s=0.5
)


class Listening:
    """Use it as a context manager; it reads while it waits."""

    def __init__(self, source: Source, liveness: LivenessSettings = IMPATIENT) -> None:
        self.capture = Capture(source, liveness)
        self.blocks: list[Block] = []
        self.history: list[tuple[State, str]] = []
        self.began_s = time.monotonic()

    def __enter__(self) -> Listening:
        self.began_s = time.monotonic()
        self.capture.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.capture.__exit__(*exception)

    @property
    def status(self) -> InputStatus:
        """As of now."""
        return self.capture.status

    @property
    def states(self) -> list[State]:
        """In their order, none twice in a row."""
        found: list[State] = []
        for state, _ in self.history:
            if not found or found[-1] != state:
                found.append(state)
        return found

    def until(self, condition: Callable[[], object], within_s: float = DEADLINE_S) -> float:
        """Listen until something is so; returns how long that took."""
        began = time.monotonic()
        while True:
            if (block := self.capture.read(timeout_s=0.02)) is not None:
                self.blocks.append(block)
            now = self.status.state, self.status.reason
            if not self.history or self.history[-1] != now:
                self.history.append(now)
            took_s = time.monotonic() - began
            if condition():
                return took_s
            assert took_s < within_s, f"waited in vain; {self.history[-6:]}"

    def until_state(self, state: State, within_s: float = DEADLINE_S) -> float:
        """Listen until the input is in a state."""
        return self.until(lambda: self.status.state == state, within_s)

    def until_reason(self, text: str) -> float:
        """Listen until the reason says so."""
        return self.until(lambda: text in self.status.reason)

    def hear(self, seconds: float) -> None:
        """Listen until that much more sound has come."""
        enough_s = self.heard_s + seconds
        self.until(lambda: self.heard_s >= enough_s - 1e-6)

    def spend(self, seconds: float) -> None:
        """Listen for a time, whatever comes."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    @property
    def heard_s(self) -> float:
        """Sound so far."""
        return sum(block.duration_s for block in self.blocks)

    def forget(self) -> None:
        """What came so far is of no interest."""
        self.blocks.clear()
        self.history.clear()

    def stretches(self) -> list[list[Block]]:
        """Blocks between holes."""
        found: list[list[Block]] = []
        for block in self.blocks:
            if block.cut or not found:
                found.append([])
            found[-1].append(block)
        return found


def sound_of(blocks: list[Block]) -> FloatArray:
    """Joined, as if there was no hole."""
    return np.concatenate([np.empty(0, np.float32), *[block.samples for block in blocks]])


def misplaced_s(blocks: list[Block]) -> FloatArray:
    """How far from its true time each block lies, by its timecode; the middle one is right.

    Raises AssertionError where a block isn't without a hole itself.
    """
    offsets = []
    for block in blocks:
        frames = frames_of(block.samples)
        steps = np.diff(frames) % PERIOD
        assert np.all(steps == 1), "a hole inside a block"
        period_s = PERIOD / block.rate_hz
        offset = (block.at_s - frames[0] / block.rate_hz) % period_s
        offsets.append(offset)
    found = np.unwrap(np.asarray(offsets), period=period_s)
    return np.asarray(found - np.median(found), np.float32)


def spliced(stretch: list[Block]) -> list[int]:
    """Frames that are missing at the seams of a stretch that claims to have no hole."""
    seams = []
    for before, after in pairwise(stretch):
        last, first = frames_of(before.samples[-1:])[0], frames_of(after.samples[:1])[0]
        seams.append(int((first - last - 1) % PERIOD))
    return seams
