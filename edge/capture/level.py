"""Plain level alarms: "louder than X dBFS between a and b Hz for t seconds"."""

from __future__ import annotations

import logging
import math
import queue
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.capture.settings import LevelRule
    from edge.capture.sound import Block

    FloatArray = NDArray[np.float32]

log = logging.getLogger(__name__)

STEP_S = 0.125  # the time constant "fast" of IEC 61672, as a plain mean
HYSTERESIS_DB = 3.0  # how far a level has to fall before the rule can speak again
BAND_ORDER = 4


class Loud(NamedTuple):
    """A rule was met. Times are seconds of the stream."""

    rule: LevelRule
    start_s: float
    end_s: float
    level_dbfs: float  # loudest step so far
    low_hz: float
    high_hz: float


class LevelWatch:
    """Watches the rules of one input. `hear` and `take` may run in different threads."""

    def __init__(self, rules: tuple[LevelRule, ...]) -> None:
        self._rules = rules
        self._watched: list[_Watched] = []
        self._found: queue.SimpleQueue[Loud] = queue.SimpleQueue()
        self._rate_hz = 0

    def hear(self, block: Block) -> None:
        """A block has come, of whatever quality."""
        if not self._rules:
            return
        if block.rate_hz != self._rate_hz:
            self._rate_hz = block.rate_hz
            self._watched = [_Watched(rule, block.rate_hz) for rule in self._rules]
        for watched in self._watched:
            for loud in watched.hear(block):
                self._found.put(loud)

    def take(self) -> list[Loud]:
        """What was found since the last call."""
        found = []
        while not self._found.empty():
            found.append(self._found.get())
        return found


class _Watched:
    """One rule on one stream."""

    def __init__(self, rule: LevelRule, rate_hz: int) -> None:
        self._rule, self._rate_hz = rule, rate_hz
        self._low_hz, self._high_hz = rule.low_hz, min(rule.high_hz or math.inf, rate_hz / 2)
        self._step = round(STEP_S * rate_hz)
        self._band = _Band(self._low_hz, self._high_hz, rate_hz)
        self._rest = np.empty(0, np.float32)
        self._began_s: float | None = None
        self._loudest = -math.inf
        self._spoken = False

    def hear(self, block: Block) -> list[Loud]:
        if block.cut:
            self._rest, self._began_s = np.empty(0, np.float32), None
            self._band = _Band(self._low_hz, self._high_hz, self._rate_hz)
        at_s = block.at_s - len(self._rest) / self._rate_hz
        samples = self._band.push(block.samples)
        joined = np.concatenate([self._rest, samples])
        steps = len(joined) // self._step
        self._rest = joined[steps * self._step :]
        powers = np.square(joined[: steps * self._step].reshape(steps, self._step)).mean(axis=1)
        found = []
        for index, power in enumerate(powers):
            level = 10.0 * math.log10(power) if power > 0.0 else -math.inf
            found += self._weigh(level, at_s + index * STEP_S)
        return found

    def _weigh(self, level: float, at_s: float) -> list[Loud]:
        rule = self._rule
        if level < rule.above_dbfs:
            self._began_s, self._loudest = None, -math.inf
            self._spoken = self._spoken and level > rule.above_dbfs - HYSTERESIS_DB
            return []
        if self._began_s is None:
            self._began_s = at_s
        self._loudest = max(self._loudest, level)
        end_s = at_s + STEP_S
        if self._spoken or end_s - self._began_s < rule.for_s - 1e-9:
            return []
        self._spoken = True
        loud = Loud(rule, self._began_s, end_s, self._loudest, self._low_hz, self._high_hz)
        return [loud]


class _Band:
    """A streaming Butterworth band pass; nothing is done to the whole range."""

    def __init__(self, low_hz: float, high_hz: float, rate_hz: int) -> None:
        self._sos = _butterworth(low_hz, high_hz, rate_hz)
        self._state = None if self._sos is None else np.zeros((len(self._sos), 2))

    def push(self, samples: FloatArray) -> FloatArray:
        """[n] in, [n] out."""
        if self._sos is None:
            return samples
        from scipy import signal  # noqa: PLC0415  (a third of a second, and often not needed)

        out, self._state = signal.sosfilt(self._sos, samples, zi=self._state)
        return np.asarray(out, np.float32)


def _butterworth(low_hz: float, high_hz: float, rate_hz: int) -> NDArray[np.float64] | None:
    """Second-order sections, [n, 6]; None for the whole range."""
    from scipy import signal  # noqa: PLC0415

    nyquist_hz = rate_hz / 2
    if low_hz >= nyquist_hz:
        log.warning("level: nothing above %.0f Hz is heard, so %.0f Hz can't be watched",
                    nyquist_hz, low_hz)  # fmt: skip
        return np.array([[0.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    if low_hz <= 0.0 and high_hz >= nyquist_hz:
        return None
    if high_hz >= nyquist_hz:
        edges, kind = [low_hz], "highpass"
    elif low_hz <= 0.0:
        edges, kind = [high_hz], "lowpass"
    else:
        edges, kind = [low_hz, high_hz], "bandpass"
    sections = signal.butter(BAND_ORDER, np.squeeze(edges), kind, fs=rate_hz, output="sos")
    return np.asarray(sections, np.float64)
