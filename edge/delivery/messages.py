"""What goes over MQTT: topics and the JSON of an event."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from edge.capture.sound import State
from edge.words import printable

SCHEMA, LEVEL_SCHEMA = "earpatch.event/3", "earpatch.level/1"
CALIBRATION_SCHEMA, HEALTH_SCHEMA = "earpatch.calibration/2", "earpatch.health/1"
ONLINE, OFFLINE = b"online", b"offline"
EVENT_SUFFIX = "/event"


class EventMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One event as subscribers get it. Times with `_s` count from the start of the stream."""

    schema: str
    node: str
    sequence: int  # never repeats on a node; a gap means that an event is missing
    reported_utc: datetime  # the node's clock when the event closed
    input: str  # which of the node's inputs
    source: str
    data_gap: bool  # whether sound is missing beside it, so that it may have been longer
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    peak_s: float
    peak_hz: float
    score: float  # 1 is the alarm level
    scale_s: float  # averaging time of the scale that found it
    excess_db: float  # level of its loudest band above what is normal there
    contrast_db: float  # level at its peak above the seconds around it
    nearest_recording: str  # of the calibration sound, what is most like its peak
    nearest_s: float  # and where in that recording
    false_alarms_per_day: float  # how often normal sound would reach this score
    sounds_like: str
    summary: str  # one line for a person
    bundle: str


class LevelMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A level rule was met: plainly louder than so much, in a band, for so long."""

    schema: str
    node: str
    sequence: int  # one count with the events
    reported_utc: datetime
    input: str
    source: str
    rule: str
    start_s: float
    end_s: float  # when it had been that loud for long enough
    low_hz: float
    high_hz: float
    level_dbfs: float
    above_dbfs: float
    summary: str


class InputHealth(msgspec.Struct, frozen=True, kw_only=True):
    """How one input is doing. Only a `hearing` input can be normal or anomalous."""

    name: str
    source: str
    state: State
    reason: str
    state_age_s: float
    level_dbfs: float | None  # None: digital silence, or no sound at all
    last_frame_age_s: float | None
    last_score_age_s: float | None
    scored_s: float
    gaps: int
    gaps_s: float
    dropped_s: float  # of the gaps, what was lost because scoring was too slow
    real_time_factor: float
    overloaded: bool  # scoring has been too slow for the sound in the last minute
    facts: dict[str, str | int]  # what was asked for and what was got


class HealthMessage(msgspec.Struct, frozen=True, kw_only=True):
    """How the node is doing, retained at `<prefix>/<node>/health`, said anew when it changes."""

    schema: str
    node: str
    reported_utc: datetime
    uptime_s: float
    inputs: list[InputHealth]
    events_waiting: int


class CalibrationMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a node's calibration still fits, retained at `<prefix>/<node>/calibration`."""

    schema: str
    node: str
    input: str
    state: Literal["current", "ageing", "stale"]
    reason: str
    since_utc: datetime  # the node's clock when that began
    bundle: str


def event_topic(prefix: str, node: str) -> str:
    """Where a node's events go."""
    return f"{prefix}/{node}{EVENT_SUFFIX}"


def availability_topic(prefix: str, node: str) -> str:
    """Where a node says `online` (retained) and the broker says `offline` for it."""
    return f"{prefix}/{node}/availability"


def health_topic(prefix: str, node: str) -> str:
    """Where a node says how it is doing."""
    return f"{prefix}/{node}/health"


def calibration_topic(prefix: str, node: str) -> str:
    """Where a node says whether its calibration still fits."""
    return f"{prefix}/{node}/calibration"


def describe(event: EventMessage | LevelMessage, clock: str) -> str:
    """One line, as a person would read it."""
    level = f", score {event.score:.2f}" if isinstance(event, EventMessage) else ""
    return (
        f"{clock} {printable(event.node)}  {event.start_s:.1f}-{event.end_s:.1f} s{level}: "
        f"{printable(event.summary)}"
    )
