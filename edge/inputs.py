"""One input of the node: what it hears, and the events that its bundle makes of it.

A hole in the sound is a hole in time, not a splice: the detector before it is closed, with whatever
event is open, and another one begins after it. No window reaches across.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from edge.bundle_store import current_name
from edge.calibration_status import CalibrationStatus, calibration_status
from edge.capture.capture import Capture, InputStatus
from edge.capture.source import open_source
from edge.detector import Detector, rules_for
from edge.drift import Drift
from edge.embedding import column_s
from edge.history import TrialStatus
from edge.starts import Starts
from edge.stretch import Found, Load, Stretch

if TYPE_CHECKING:
    from edge.bundle import Bundle
    from edge.capture.level import Loud
    from edge.capture.settings import LivenessSettings
    from edge.capture.sound import Block, Source, State
    from edge.settings import EventSettings, InputSettings
    from edge.trial import Started

log = logging.getLogger(__name__)


class InputNumbers(msgspec.Struct, frozen=True, kw_only=True):
    """What an input has been through since the node started."""

    scored_s: float  # sound that was scored
    gaps: int
    gaps_s: float  # sound that is missing, in all
    real_time_factor: float  # scoring time over sound, in the last minute; from 1 on it's too slow
    last_score_age_s: float | None  # None before the first


class Input:
    """Use it as a context manager; `step` it from the loop.

    Args:
        settings: its name, source, bundle and level rules.
        liveness: when its source counts as heard.
        events: how long something must last.
        source: in the place of the one that is set.
        bundle: in the place of the one that is set.
        starts: opens bundles for the node.
    """

    def __init__(
        self,
        settings: InputSettings,
        liveness: LivenessSettings,
        events: EventSettings,
        *,
        source: Source | None = None,
        bundle: Bundle | None = None,
        starts: Starts | None = None,
    ) -> None:
        self.name, self._events = settings.name, events
        self.bundle_settings, self.bundle_path = settings.bundle, Path(settings.bundle.path)
        self.starts = starts or Starts()
        if bundle is not None:
            self._use(bundle, current_name(self.bundle_path), TrialStatus("none", ""))
        else:
            self.take_up(self.starts.open(settings.bundle))
        self.last_block: Block | None = None  # of the last step
        self.source = source or open_source(settings.source, liveness)
        self.capture = Capture(self.source, liveness, settings.level)
        self.started_s = time.monotonic()
        self._stretch: Stretch | None = None
        self._end_s: float | None = None  # of what was read last
        self._sounding: float | None = None
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
        heard_hz = self._stretch.rate_hz / 2 if self._stretch else None
        identity = getattr(self.source, "identity", None)
        return calibration_status(self.bundle.manifest, identity, heard_hz, self._drift)

    @property
    def description(self) -> str:
        """What it listens to, and with what."""
        manifest, runtime = self.bundle.manifest, self.bundle.backbone.runtime
        return (
            f"listens to {self.source.name}; bundle {manifest.bundle_id}, {runtime.name} "
            f"{runtime.version}, up to {manifest.limit_hz:.0f} Hz"
        )

    @property
    def state(self) -> State:
        """The state alone, for a loop that asks again and again."""
        return self.capture.state

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
        self.take_up(self.starts.open(self.bundle_settings))

    def take_up(self, started: Started) -> None:
        """Go on with a bundle that was opened; the sound goes on without a hole."""
        for note in started.notes:
            log.warning("%s: %s", self.name, note)
        self._use(started.bundle, started.version, started.trial)

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

    def _use(self, bundle: Bundle, version: str | None, trial: TrialStatus) -> None:
        self.bundle, self.version, self.trial = bundle, version, trial
        manifest, events = bundle.manifest, self._events
        columns_s = column_s(manifest.front_end, manifest.backbone)
        self._rules = rules_for(events.on_delay_s, events.off_delay_s, columns_s)
        self._drift = Drift(manifest.thresholds.tail, columns_s)
        self._renewed = True  # the next block meets another bundle

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
        if self._stretch is None or self.state in {"hearing", "starting"}:
            return None
        if self.capture.ring.waiting:
            return None
        return self._end_stretch(by_gap=self.state != "ended")
