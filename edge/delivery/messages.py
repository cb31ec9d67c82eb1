"""What goes over MQTT: topics and the JSON of an event."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from edge.words import printable

SCHEMA, CALIBRATION_SCHEMA = "earpatch.event/2", "earpatch.calibration/1"
ONLINE, OFFLINE = b"online", b"offline"
EVENT_SUFFIX = "/event"


class EventMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One event as subscribers get it. Times with `_s` count from the start of the stream."""

    schema: str
    node: str
    sequence: int  # never repeats on a node; a gap means that an event is missing
    reported_utc: datetime  # the node's clock when the event closed
    source: str
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


class CalibrationMessage(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a node's calibration still fits, retained at `<prefix>/<node>/calibration`."""

    schema: str
    node: str
    state: Literal["current", "ageing"]
    since_utc: datetime  # the node's clock when that began
    bundle: str


def event_topic(prefix: str, node: str) -> str:
    """Where a node's events go."""
    return f"{prefix}/{node}{EVENT_SUFFIX}"


def availability_topic(prefix: str, node: str) -> str:
    """Where a node says `online` (retained) and the broker says `offline` for it."""
    return f"{prefix}/{node}/availability"


def calibration_topic(prefix: str, node: str) -> str:
    """Where a node says whether its calibration still fits."""
    return f"{prefix}/{node}/calibration"


def describe(event: EventMessage, clock: str) -> str:
    """One line, as a person would read it."""
    return (
        f"{clock} {printable(event.node)}  {event.start_s:.1f}-{event.end_s:.1f} s, "
        f"score {event.score:.2f}: {printable(event.summary)}"
    )
