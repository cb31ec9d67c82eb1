"""Whether an input is heard: a state machine that lets good sound through and nothing else.

Silence from a dead microphone looks like a quiet machine, and its beginning and end like a fault.
So a block is passed on only when both of its neighbours are good too, and nothing is ever scored
unless the input is `hearing`:

    starting    not heard yet                  stalled      open, but no samples come
    hearing     good sound                     absent       there is no such microphone
    silent      a constant, or no noise        recovering   being opened again, or good again
    frozen      the same sound again and again              but not yet for long enough
    clipped     full scale, for too long       ended        the sound is over
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge.capture.sound import Block, Outage, State, level_dbfs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.capture.settings import LivenessSettings

    FloatArray = NDArray[np.float32]

REMEMBERED_S = 0.5  # a buffer that comes again does so within this time
NEEDLE_SAMPLES = 64
FEW_MATCHES = 8
BUFFERED = 4  # times what counts: sound is seldom moved


class Liveness:
    """The state of one input, and the blocks that are fit to be scored."""

    def __init__(self, settings: LivenessSettings) -> None:
        self.state: State = "starting"
        self.reason = ""
        self.since_s = 0.0
        self.level_dbfs = float("-inf")
        self._settings = settings
        self._after_s = {
            "silent": settings.silent_after_s,
            "frozen": settings.frozen_after_s,
            "clipped": settings.clipped_after_s,
        }
        self._echo = _Echo()
        self._held: list[Block] = []  # good, but not known yet to be followed by good sound
        self._good_s = 0.0
        self._bad: State | None = None
        self._bad_s = 0.0
        self._cut = False  # whether something was kept back before what is held
        self._borders = False  # whether the next block borders on one that was kept back

    def hear(self, block: Block) -> list[Block]:
        """A block has come; returns what may be scored now."""
        if block.cut:
            released = self._release_all()
            self._echo = _Echo()
        else:
            released = []
        self.level_dbfs = level_dbfs(block.samples)
        state, reason = self._judge(block, again=self._echo.heard_before(block))
        if state == "hearing":
            self._bad, self._bad_s = None, 0.0
            return released + self._good(block)
        self._bad_s = block.duration_s + (self._bad_s if state == self._bad else 0.0)
        self._bad = state
        lasting = self._bad_s >= self._after_s[state] - 1e-9
        if state == "clipped" and not lasting and self.state != "clipped":
            return released + self._good(block)  # a loud moment is no broken input
        self._keep_back()
        self._borders = True
        if lasting:
            self._enter(state, reason, block.end_s)
        return released

    def missing(self, outage: Outage) -> list[Block]:
        """No sound came; returns what may be scored of what came before."""
        released = self._release_all()
        self._keep_back()
        self._borders = False
        self._enter(outage.state, outage.reason, outage.at_s)
        self.level_dbfs = float("-inf")
        return released

    def end(self, at_s: float) -> list[Block]:
        """The sound is over; returns the last of it."""
        released = self._held  # a recording too short to be believed is still a recording
        self._held = []
        self._enter("ended", "the sound is over", at_s)
        return released

    def _good(self, block: Block) -> list[Block]:
        borders, self._borders = self._borders, False
        if borders and not block.cut:
            return []  # it may hold the end of what was bad
        if self.state != "hearing":
            if self.state not in {"starting", "recovering"}:
                self._enter("recovering", "sound is back", block.at_s)
            self._good_s += block.duration_s
            if self._good_s < self._settings.hearing_after_s - 1e-9:
                self._hold(block)
                return []
            self._enter("hearing", "", block.end_s)
        released, self._held = self._held, []
        self._hold(block)
        return released

    def _hold(self, block: Block) -> None:
        self._held.append(block._replace(cut=block.cut or self._cut))
        self._cut = False

    def _keep_back(self) -> None:
        """What is held borders on bad sound, or on none."""
        self._held, self._good_s, self._cut = [], 0.0, True

    def _release_all(self) -> list[Block]:
        """What stands before a hole, if the input was heard then."""
        if self.state != "hearing":
            return []
        released, self._held = self._held, []
        return released

    def _enter(self, state: State, reason: str, at_s: float) -> None:
        if state != self.state:
            self.since_s = at_s
            self._good_s = 0.0
        self.state, self.reason = state, reason

    def _judge(self, block: Block, *, again: bool) -> tuple[State, str]:
        samples, settings = block.samples, self._settings
        if np.minimum.reduce(samples) == np.maximum.reduce(samples):
            value = float(samples[0])
            return "silent", f"every sample is {value:g}" if value else "digital silence"
        if self.level_dbfs < settings.silent_below_dbfs:
            return "silent", f"{self.level_dbfs:.0f} dBFS, less than a microphone's own noise"
        if block.clipped_share >= settings.clipped_share:
            return "clipped", f"{block.clipped_share:.0%} of the samples at full scale"
        if again:
            return "frozen", "the same samples again"
        return "hearing", ""


class _Echo:
    """Whether a block repeats sound of the last half second, bit for bit."""

    def __init__(self) -> None:
        self._samples = np.empty(0, np.float32)  # in order; the last half second counts
        self._end = 0  # of what was heard

    def heard_before(self, block: Block) -> bool:
        """Whether it does; it is remembered too."""
        samples, count = block.samples, len(block.samples)
        kept = min(self._end, round(REMEMBERED_S * block.rate_hz))
        if self._end + count > len(self._samples):
            self._start_again(kept, count)
        start, self._end = self._end, self._end + count
        self._samples[start : self._end] = samples
        return count >= NEEDLE_SAMPLES and self._is_in(samples, start - kept, start)

    def _start_again(self, kept: int, count: int) -> None:
        """What counts moves into another buffer, with room for a good deal more."""
        fresh = np.zeros(BUFFERED * (kept + count), np.float32)
        fresh[:kept] = self._samples[self._end - kept : self._end]
        self._samples, self._end = fresh, kept

    def _is_in(self, samples: FloatArray, begin: int, end: int) -> bool:
        """Whether they begin anywhere in that range of what was heard, and go on alike.

        Their largest sample is looked for, which few others equal.
        """
        heard, top = self._samples, int(samples.argmax())
        starts = begin + np.flatnonzero(heard[begin + top : end + top] == samples[top])
        for place in range(NEEDLE_SAMPLES):
            if len(starts) <= FEW_MATCHES:
                break
            starts = starts[heard[starts + place] == samples[place]]
        return any(
            np.array_equal(heard[start : start + len(samples)], samples)
            for start in starts[:FEW_MATCHES]
        )
