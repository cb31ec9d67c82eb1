"""Events as subscribers get them: CloudEvents 1.0, structured JSON, one type for each kind.

CNCF, *CloudEvents 1.0.2*. `time` is when the event began where the clock of the sound is known, and
when it was reported otherwise. `data.sequence` counts all of a node's events.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Union

import msgspec
from msgspec import Meta

from edge.alarms.states import StateName
from edge.capture.sound import State
from edge.words import printable

SCHEMA = "urn:earpatch:schema:event:1"
Ulid = Annotated[str, Meta(pattern="^[0-7][0-9A-HJKMNP-TV-Z]{25}$")]
CalibrationState = Literal["current", "ageing", "stale"]


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """What every event says."""

    node: str
    sequence: int  # never repeats on a node; a gap means that an event is missing
    reported_utc: datetime  # the node's clock when it was kept
    reported_monotonic_s: float  # seconds since the computer started
    boot_id: str  # of that start
    clock_synced: bool  # whether the UTC times can be trusted; unsent events are corrected later
    summary: str  # one line for a person


class InputData(Data, frozen=True, kw_only=True):
    """What every event of an input says."""

    input: str  # which of the node's inputs
    source: str  # what it listens to
    input_state: State  # when the event was reported
    data_gap: bool  # whether sound is missing beside it, so that it may have been longer
    start_utc: datetime | None  # None for sound that has no clock: a recording, a pipe
    end_utc: datetime | None
    start_s: float  # from the start of the stream, gaps included
    end_s: float
    low_hz: float
    high_hz: float


class Anomaly(InputData, frozen=True, kw_only=True):
    """The machine sounded wrong."""

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
    bundle: str
    calibration: str  # id of what was learnt; bundles that share it judge alike
    calibration_state: CalibrationState


class Level(InputData, frozen=True, kw_only=True):
    """A level rule was met: plainly louder than so much, in a band, for so long."""

    rule: str
    level_dbfs: float
    above_dbfs: float


class AlarmChange(Data, frozen=True, kw_only=True):
    """An alarm has changed its state (ISA-18.2)."""

    input: str
    before: StateName
    after: StateName
    cause: str
    by: str  # who commanded it
    comment: str
    event_id: str | None  # the last event before it
    score: float
    annunciated: bool  # whether an operator should be called
    suppressed_by: str | None


class AlarmSummary(Data, frozen=True, kw_only=True):
    """What was not annunciated one by one, since there were too many in an hour."""

    input: str
    count: int
    worst_score: float
    first_event_id: str | None
    last_event_id: str | None


class Loss(Data, frozen=True, kw_only=True):
    """Events that could not be kept until they were delivered."""

    count: int
    first_sequence: int
    last_sequence: int


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The context attributes of CloudEvents; `type` comes from the tag."""

    id: Ulid  # the same id is the same event, sent again
    source: str  # /prefix/node, or /prefix/node/input
    time: datetime
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = SCHEMA


class AnomalyEvent(_Envelope, frozen=True, kw_only=True, tag_field="type", tag="earpatch.anomaly"):
    """An anomaly, reported when it has ended or has lasted for ten seconds."""

    data: Anomaly


class LevelEvent(_Envelope, frozen=True, kw_only=True, tag_field="type", tag="earpatch.level"):
    """A level rule was met."""

    data: Level


class AlarmEvent(_Envelope, frozen=True, kw_only=True, tag_field="type", tag="earpatch.alarm"):
    """An alarm has changed its state."""

    data: AlarmChange


class SummaryEvent(
    _Envelope, frozen=True, kw_only=True, tag_field="type", tag="earpatch.alarm_summary"
):
    """Changes of state that were not told one by one."""

    data: AlarmSummary


class LossEvent(_Envelope, frozen=True, kw_only=True, tag_field="type", tag="earpatch.loss"):
    """Events were lost."""

    data: Loss


CloudEvent = Union[AnomalyEvent, LevelEvent, AlarmEvent, SummaryEvent, LossEvent]  # noqa: UP007


def describe(event: CloudEvent) -> str:
    """One line, as a person would read it, with the time of day here."""
    data = event.data
    clock = f"{event.time.astimezone():%H:%M:%S}" + ("" if data.clock_synced else "?")
    place = f"{data.node}/{data.input}" if hasattr(data, "input") else data.node
    score = f"score {data.score:.2f}, " if isinstance(data, Anomaly) else ""
    span = f"{data.start_s:.1f}-{data.end_s:.1f} s, " if isinstance(data, InputData) else ""
    return f"{clock} {printable(place)}  {span}{score}{printable(data.summary)}"
