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
        self._history = np.empty(0, np.float32)
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
            self._history = np.empty(0, np.float32)
        else:
            released = []
        self.level_dbfs = level_dbfs(block.samples)
        state, reason = self._judge(block)
        self._remember(block)
        if state == "hearing":
            self._bad, self._bad_s = None, 0.0
            borders, self._borders = self._borders, False
            if borders and not block.cut:
                return released  # it may hold the end of what was bad
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

    def _judge(self, block: Block) -> tuple[State, str]:
        samples, settings = block.samples, self._settings
        if samples.min() == samples.max():
            value = float(samples[0])
            return "silent", f"every sample is {value:g}" if value else "digital silence"
        if self.level_dbfs < settings.silent_below_dbfs:
            return "silent", f"{self.level_dbfs:.0f} dBFS, less than a microphone's own noise"
        if block.clipped_share >= settings.clipped_share:
            return "clipped", f"{block.clipped_share:.0%} of the samples at full scale"
        if self._seen_before(samples):
            return "frozen", "the same samples again"
        return "hearing", ""

    def _remember(self, block: Block) -> None:
        kept = round(REMEMBERED_S * block.rate_hz)
        self._history = np.concatenate([self._history, block.samples])[-kept:]

    def _seen_before(self, samples: FloatArray) -> bool:
        """Whether the block repeats sound of the last half second, bit for bit."""
        if len(samples) < NEEDLE_SAMPLES:
            return False
        all_samples = np.concatenate([self._history, samples])
        raw, needle = all_samples.tobytes(), samples[:NEEDLE_SAMPLES].tobytes()
        end = 4 * (len(self._history) + NEEDLE_SAMPLES - 1)
        found = -1
        for _ in range(FEW_MATCHES):
            found = raw.find(needle, found + 1, end)
            if found < 0:
                return False
            start = found // 4
            if found % 4 == 0 and np.array_equal(
                all_samples[start : start + len(samples)], samples
            ):
                return True
        return False
