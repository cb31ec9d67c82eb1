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
from edge.stretch import Found, Load, Stretch

if TYPE_CHECKING:
    from edge.capture.level import Loud
    from edge.capture.settings import LivenessSettings
    from edge.capture.sound import Block, Source
    from edge.delivery.messages import CalibrationState
    from edge.settings import EventSettings, InputSettings

AGEING = (
    "sound has moved away from what was learnt; lasting deviations are told once an hour. "
    "While the machine is well, calibrate anew"
)
LIMIT_SHARE = 0.9
LOWER = (
    "made with sound up to {learnt:.0f} Hz, and this goes up to {heard:.0f} Hz: what is missing "
    "looks like a fault; calibrate anew with this microphone at this rate"
)
STALE = "made with the microphone {made_with}, and this is {now}; calibrate anew with this one"


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
    last_score_age_s: float | None  # None before the first


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
        self.bundle_path, self._runtime = Path(settings.bundle.path), settings.bundle.runtime
        self.bundle = bundle or open_bundle(self.bundle_path, runtime=self._runtime)
        self.last_block: Block | None = None  # of the last step
        self.source = source or open_source(settings.source, liveness)
        self.capture = Capture(self.source, liveness, settings.level)
        self.started_s = time.monotonic()
        manifest = self.bundle.manifest
        self._column_s = column_s(manifest.front_end, manifest.backbone)
        self._rules = rules_for(events.on_delay_s, events.off_delay_s, self._column_s)
        self._drift = Drift(manifest.thresholds.tail, self._column_s)
        self._stretch: Stretch | None = None
        self._end_s: float | None = None  # of what was read last
        self._sounding: float | None = None
        self._renewed = False  # whether the next block meets another bundle
        self._gaps, self._gaps_s, self._scored_s = 0, 0.0, 0.0
        self._load = Load()

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
        heard_hz = self._stretch.rate_hz / 2 if self._stretch else None
        learnt_hz = self.bundle.manifest.limit_hz
        if heard_hz is not None and heard_hz < LIMIT_SHARE * learnt_hz:
            return CalibrationStatus("stale", LOWER.format(learnt=learnt_hz, heard=heard_hz))
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
    def stretch(self) -> Stretch | None:
        """The sound without a hole that is being scored now."""
        return self._stretch

    @property
    def ended(self) -> bool:
        """Whether the sound is over and all of it was scored.

        Raises:
            EarpatchError: what the source failed with.
        """
        return self.capture.ended

    def step(self, timeout_s: float) -> list[Found] | None:
        """Score what is there; None when nothing came in time."""
        block = self.last_block = self.capture.read(timeout_s=timeout_s)
        if block is None:
            return self._close_if_lost()
        found: list[Found] = []
        if self._renewed or self._is_other(block):
            found += self._begin(block)
        assert self._stretch is not None  # noqa: S101  (`_begin` has just made one)
        began, before = time.monotonic(), self._stretch.columns
        found += self._stretch.push(block)
        self._note_evidence(self._stretch.largest)
        self._load.add(time.monotonic() - began, block.duration_s)
        self._load.note_score(self._stretch.columns - before)
        self._end_s = block.end_s
        self._scored_s += block.duration_s
        return found

    @property
    def score(self) -> float | None:
        """What the sound has scored last; None while there is none."""
        return self._stretch.score if self._stretch else None

    def reload(self) -> None:
        """Take up the bundle's current version; the sound goes on without a hole.

        Raises:
            EarpatchError: it can't be used; the one before stays.
        """
        self.bundle = open_bundle(self.bundle_path, runtime=self._runtime)
        self._drift = Drift(self.bundle.manifest.thresholds.tail, self._column_s)
        self._renewed = True

    def take_sounding(self) -> float | None:
        """The largest score since the last call, if it was above the release level."""
        score, self._sounding = self._sounding, None
        return score

    def take_loud(self) -> list[Loud]:
        """What the level rules have found since the last call."""
        return self.capture.take_loud()

    def finish(self) -> list[Found]:
        """Close what is open: no more will be scored."""
        return self._end_stretch(by_gap=False)

    def _end_stretch(self, *, by_gap: bool) -> list[Found]:
        """What is still to be found in the sound so far."""
        stretch, self._stretch = self._stretch, None
        if stretch is None:
            return []
        before = stretch.columns
        found = stretch.finish(by_gap=by_gap)
        self._load.note_score(stretch.columns - before)
        return found

    def _is_other(self, block: Block) -> bool:
        """Whether a block doesn't go on with the stretch that there is."""
        stretch = self._stretch
        return block.cut or stretch is None or block.rate_hz != stretch.rate_hz

    def _note_evidence(self, largest: float) -> None:
        if largest >= self.bundle.manifest.thresholds.release:
            self._sounding = max(largest, self._sounding or 0.0)

    def _begin(self, block: Block) -> list[Found]:
        """A stretch of sound begins; the one before it ends."""
        after_gap = self._end_s is not None and self._is_other(block)
        self._renewed = False
        if self._end_s is not None and after_gap:
            self._gaps += 1
            self._gaps_s += max(0.0, block.at_s - self._end_s)
        found = self._end_stretch(by_gap=True)
        detector = Detector(
            self.bundle, rate_hz=block.rate_hz, rules=self._rules, drift=self._drift
        )
        self._stretch = Stretch(detector, block, after_gap=after_gap)
        return found

    def _close_if_lost(self) -> list[Found] | None:
        """An input that is no longer heard leaves no event open."""
        if self._stretch is None or self.status.state in {"hearing", "starting"}:
            return None
        if self.capture.ring.waiting:
            return None
        return self._end_stretch(by_gap=self.status.state != "ended")


CURRENT = CalibrationStatus("current", "")
