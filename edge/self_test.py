"""The self-test of a bundle: golden windows, then faults added to normal sound must be found.

Two faults are added to a copy of the sound, a hiss and a tone in different bands, each a good deal
louder than what is there in its own band. Both must become events, and the sound without them must
be normal for the greater part: what takes everything for an alarm would find them too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.detector import Detector
from edge.errors import RecordingError
from edge.golden import check
from edge.synthetic_fault import SyntheticFault, with_fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.events import Event
    from edge.golden import GoldenReport

    FloatArray = NDArray[np.float32]

SHORTEST_S, WANTED_S = 20.0, 40.0  # of sound
FAULT_S, FAULT_DB = 2.0, 15.0
TIME_SLACK_S = 0.5  # an event may begin or end so much beside the fault
MOST_ALARMED = 0.5  # of the sound as it came
PIECE_S = 1.0  # that is scored at a time, so that it takes no more memory than a node has
SILENCE = 1e-6  # -120 dBFS: no microphone is so quiet
# Start, as a share of the sound; lowest and highest frequency, as shares of what is heard.
PLACES = {"hiss": (0.45, 0.4, 0.7), "tone": (0.75, 0.15, 0.18)}


@dataclass(frozen=True)
class SelfTestReport:
    """What came of the self-test."""

    golden: GoldenReport
    alarmed_share: float  # of the sound, before anything was added
    scores: dict[str, float | None]  # of each fault that was added; none where it was not found

    @property
    def passed(self) -> bool:
        """Whether the bundle may stay."""
        found = all(score is not None for score in self.scores.values())
        return self.golden.is_valid and found and self.alarmed_share <= MOST_ALARMED

    @property
    def line(self) -> str:
        """For a log."""
        if not self.golden.is_valid:
            return self.golden.line
        if self.alarmed_share > MOST_ALARMED:
            return (
                f"{self.alarmed_share:.0%} of the sound as it came are an alarm: learnt from "
                "another machine, or this one is not well"
            )
        missed = [kind for kind, score in self.scores.items() if score is None]
        if missed:
            return f"did not find the {' and the '.join(missed)} that was added to the sound"
        told = ", ".join(f"{kind} {score:.1f}" for kind, score in self.scores.items())
        return f"golden windows {self.golden.verdict}, added faults found with scores {told}"


def self_test(bundle: Bundle, sound: FloatArray, rate_hz: int) -> SelfTestReport:
    """Test a bundle on sound that is taken to be normal.

    Args:
        bundle: the bundle.
        sound: mono float32, full scale 1.0; 20 s at least, better 40.
        rate_hz: of the sound.

    Raises:
        BundleError: the bundle contradicts itself.
        RecordingError: the sound is too short, or silence.
    """
    duration_s = len(sound) / rate_hz
    if duration_s < SHORTEST_S:
        raise RecordingError(f"{duration_s:.1f} s of sound; a self-test needs {SHORTEST_S:.0f} s")
    if float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) < SILENCE:
        raise RecordingError("the sound is silence; a self-test needs the machine's normal sound")
    golden = check(bundle)
    alarmed = alarmed_share(bundle, sound, rate_hz)
    faults = faults_for(duration_s, min(rate_hz / 2, bundle.manifest.limit_hz))
    faulty = sound
    for fault in faults:
        faulty = with_fault(faulty, rate_hz, fault)
    after = _events(bundle, faulty, rate_hz)
    return SelfTestReport(golden, alarmed, {f.kind: _score(f, after) for f in faults})


def alarmed_share(bundle: Bundle, sound: FloatArray, rate_hz: int) -> float:
    """How much of a sound a bundle takes for an alarm, from 0 to 1."""
    return _covered_s(_events(bundle, sound, rate_hz)) / (len(sound) / rate_hz)


def faults_for(duration_s: float, limit_hz: float) -> list[SyntheticFault]:
    """What is added to a sound of this length that is heard up to this frequency."""
    return [
        SyntheticFault(kind, start * duration_s, FAULT_S, low * limit_hz, high * limit_hz, FAULT_DB)
        for kind, (start, low, high) in PLACES.items()
    ]


def _events(bundle: Bundle, sound: FloatArray, rate_hz: int) -> list[Event]:
    detector, events = Detector(bundle, rate_hz=rate_hz), list["Event"]()
    size = round(PIECE_S * rate_hz)
    for first in range(0, len(sound), size):
        events += detector.push(sound[first : first + size]).events
    return events + detector.finish().events


def _covered_s(events: Sequence[Event]) -> float:
    """How long at least one event lasts."""
    covered_s = end_s = 0.0
    for event in sorted(events, key=lambda each: each.start_s):
        covered_s += max(0.0, event.end_s - max(end_s, event.start_s))
        end_s = max(end_s, event.end_s)
    return covered_s


def _score(fault: SyntheticFault, events: Sequence[Event]) -> float | None:
    """The highest score of the events in the fault's place that are about as long as it is."""
    scores = [
        event.score
        for event in events
        if fault.start_s - TIME_SLACK_S <= event.start_s < fault.end_s
        and event.end_s <= fault.end_s + TIME_SLACK_S
        and event.low_hz < fault.high_hz
        and fault.low_hz < event.high_hz
    ]
    return max(scores, default=None)
