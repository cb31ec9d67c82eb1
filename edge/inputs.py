"""One input of the node: what it hears, and the events that its bundle makes of it.

A hole in the sound is a hole in time, not a splice: the detector before it is closed, with whatever
event is open, and another one begins after it. No window reaches across.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from edge.bundle import Bundle, open_bundle
from edge.capture.capture import Capture, InputStatus
from edge.capture.source import open_source
from edge.detector import Detector, rules_for
from edge.drift import Drift
from edge.embedding import column_s

if TYPE_CHECKING:
    from edge.capture.level import Loud
    from edge.capture.settings import LivenessSettings
    from edge.capture.sound import Block, Source
    from edge.delivery.messages import CalibrationState
    from edge.events import Event
    from edge.settings import EventSettings, InputSettings

BESIDE_GAP_S = 0.5  # an event that near to a hole may have lost a part to it
LOAD_WINDOW_S = 60.0
AGEING = (
    "sound has moved away from what was learnt; lasting deviations are told once an hour. "
    "While the machine is well, calibrate anew"
)
STALE = "made with the microphone {made_with}, and this is {now}; calibrate anew with this one"


class Found(NamedTuple):
    """An event, in seconds of the input's stream."""

    event: Event
    data_gap: bool  # whether sound is missing beside it, so that it may have been longer


class CalibrationStatus(NamedTuple):
    """Whether an input's calibration still holds, and if not, what to do."""

    state: CalibrationState
    reason: str


class InputNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """What an input has been through since the node started."""

    scored_s: float  # sound that was scored
    gaps: int
    gaps_s: float  # sound that is missing, in all
    real_time_factor: float  # scoring time over sound, in the last minute; from 1 on it's too slow
    last_score_age_s: float | None


class Input:
    """Use it as a context manager; `step` it from the loop."""

    def __init__(
        self,
        settings: InputSettings,
        liveness: LivenessSettings,
        events: EventSettings,
        *,
        source: Source | None = None,
        bundle: Bundle | None = None,
    ) -> None:
        self.name = settings.name
        runtime = settings.bundle.runtime
        self.bundle = bundle or open_bundle(Path(settings.bundle.path), runtime=runtime)
        self.source = source or open_source(settings.source, liveness)
        self.capture = Capture(self.source, liveness, settings.level)
        self.started_s = time.monotonic()
        manifest = self.bundle.manifest
        self._column_s = column_s(manifest.front_end, manifest.backbone)
        self._rules = rules_for(events.on_delay_s, events.off_delay_s, self._column_s)
        self._drift = Drift(manifest.thresholds.tail, self._column_s)
        self._stretch: _Stretch | None = None
        self._end_s: float | None = None  # of what was read last
        self._sounding: float | None = None
        self._gaps, self._gaps_s, self._scored_s = 0, 0.0, 0.0
        self._load = _Load()

    def __enter__(self) -> Input:
        self.started_s = time.monotonic()
        self.capture.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.capture.__exit__(*exception)

    @property
    def calibration(self) -> CalibrationStatus:
        """Whether what was learnt still holds."""
        made_with, now = self.bundle.manifest.microphone, getattr(self.source, "identity", None)
        if made_with and now and made_with != now:
            return CalibrationStatus("stale", STALE.format(made_with=made_with, now=now))
        return CalibrationStatus("ageing", AGEING) if self._drift.ageing else CURRENT

    @property
    def status(self) -> InputStatus:
        """State and level as of now."""
        return self.capture.status

    @property
    def numbers(self) -> InputNumbers:
        """Counters as of now."""
        last = self._load.last_s
        return InputNumbers(
            scored_s=round(self._scored_s, 1),
            gaps=self._gaps,
            gaps_s=round(self._gaps_s, 2),
            real_time_factor=round(self._load.factor, 3),
            last_score_age_s=None if last is None else round(time.monotonic() - last, 2),
        )

    @property
    def ended(self) -> bool:
        """Whether the sound is over and all of it was scored.

        Raises:
            EarpatchError: what the source failed with.
        """
        return self.capture.ended

    def step(self, timeout_s: float) -> list[Found] | None:
        """Score what is there; None when nothing came in time."""
        block = self.capture.read(timeout_s=timeout_s)
        if block is None:
            return self._close_if_lost()
        found: list[Found] = []
        if block.cut or self._stretch is None or block.rate_hz != self._stretch.rate_hz:
            found += self._begin(block)
        assert self._stretch is not None  # noqa: S101  (`_begin` has just made one)
        began = time.monotonic()
        found += self._stretch.push(block)
        self._note_evidence(self._stretch.largest)
        self._load.add(time.monotonic() - began, block.duration_s)
        self._end_s = block.end_s
        self._scored_s += block.duration_s
        return found

    @property
    def score(self) -> float | None:
        """What the sound has scored last; None while there is none."""
        return self._stretch.score if self._stretch else None

    def take_sounding(self) -> float | None:
        """The largest score since the last call, if it was above the release level."""
        score, self._sounding = self._sounding, None
        return score

    def take_loud(self) -> list[Loud]:
        """What the level rules have found since the last call."""
        return self.capture.take_loud()

    def finish(self) -> list[Found]:
        """Close what is open: no more will be scored."""
        stretch, self._stretch = self._stretch, None
        return stretch.finish(by_gap=False) if stretch else []

    def _note_evidence(self, largest: float) -> None:
        if largest >= self.bundle.manifest.thresholds.release:
            self._sounding = max(largest, self._sounding or 0.0)

    def _begin(self, block: Block) -> list[Found]:
        """A stretch of sound begins; the one before it ends."""
        after_gap = self._end_s is not None
        if self._end_s is not None:
            self._gaps += 1
            self._gaps_s += max(0.0, block.at_s - self._end_s)
        found = self._stretch.finish(by_gap=True) if self._stretch else []
        detector = Detector(
            self.bundle, rate_hz=block.rate_hz, rules=self._rules, drift=self._drift
        )
        self._stretch = _Stretch(detector, block, after_gap=after_gap)
        return found

    def _close_if_lost(self) -> list[Found] | None:
        """An input that is no longer heard leaves no event open."""
        if self._stretch is None or self.status.state in {"hearing", "starting"}:
            return None
        if self.capture.ring.waiting:
            return None
        stretch, self._stretch = self._stretch, None
        return stretch.finish(by_gap=self.status.state != "ended")


CURRENT = CalibrationStatus("current", "")


class _Stretch:
    """Sound without a hole, and its detector."""

    def __init__(self, detector: Detector, first: Block, *, after_gap: bool) -> None:
        self._detector, self.rate_hz = detector, first.rate_hz
        self._after_gap, self._samples = after_gap, 0
        self.largest = 0.0  # evidence of the last block
        self.score: float | None = None  # the same, of the last block that was long enough
        self._at_s = first.at_s  # of the first sample, as the device's own clock has it by now

    def push(self, block: Block) -> list[Found]:
        self._at_s = block.at_s - self._samples / self.rate_hz
        self._samples += len(block.samples)
        findings = self._detector.push(block.samples)
        evidence = findings.fast.evidence
        self.largest = float(evidence.max()) if evidence.size else 0.0
        self.score = self.largest if evidence.size else self.score
        return self._found(findings.events, end_s=None)

    def finish(self, *, by_gap: bool) -> list[Found]:
        end_s = self._samples / self.rate_hz if by_gap else None
        return self._found(self._detector.finish().events, end_s)

    def _found(self, events: list[Event], end_s: float | None) -> list[Found]:
        found = []
        for event in events:
            cut_short = end_s is not None and event.end_s > end_s - BESIDE_GAP_S
            began_before = self._after_gap and event.start_s < BESIDE_GAP_S
            placed = msgspec.structs.replace(
                event,
                start_s=round(event.start_s + self._at_s, 3),
                end_s=round(event.end_s + self._at_s, 3),
                peak_s=round(event.peak_s + self._at_s, 3),
            )
            found.append(Found(placed, cut_short or began_before))
        return found


class _Load:
    """Time spent on scoring, over the sound that was scored; of about the last minute."""

    def __init__(self) -> None:
        self._spent_s = self._sound_s = 0.0
        self.last_s: float | None = None

    def add(self, spent_s: float, sound_s: float) -> None:
        keep = max(0.0, 1.0 - sound_s / LOAD_WINDOW_S)
        self._spent_s = keep * self._spent_s + spent_s
        self._sound_s = keep * self._sound_s + sound_s
        self.last_s = time.monotonic()

    @property
    def factor(self) -> float:
        return self._spent_s / self._sound_s if self._sound_s else 0.0
