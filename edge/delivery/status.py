"""What a node says about itself, retained: how it is doing, and how its alarms stand."""

from __future__ import annotations

from datetime import datetime

import msgspec

from edge.alarms.states import ConditionName, Shelving, StateName
from edge.capture.sound import State
from edge.delivery.messages import CalibrationState
from edge.history import TrialState

STATE_SCHEMA, HEALTH_SCHEMA = "urn:earpatch:schema:state:1", "urn:earpatch:schema:health:1"


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
    overloaded: bool  # an open microphone lost sound in the last minute: this computer is too slow
    facts: dict[str, str | int]  # what was asked for and what was got


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`<prefix>/<node>/health`: every half minute, and when an input's state changes."""

    schema: str
    node: str
    version: str
    reported_utc: datetime
    clock_synced: bool
    boot_id: str
    uptime_s: float
    inputs: list[InputHealth]
    events_waiting: int
    events_durable: bool  # whether they are on disk, or wait in memory because it takes nothing
    bytes_written_a_day: int | None
    trouble: str | None  # what keeps events from being kept


class AlarmStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm (ISA-18.2; OPC UA part 9)."""

    name: StateName
    condition: ConditionName  # the same, unless shelved or out of service
    active: bool
    acknowledged: bool
    latched: bool
    suspect: bool  # the input does not hear: the condition is the last one known
    shelving: Shelving
    shelved_for_s: float | None  # so much longer
    out_of_service: bool
    since_utc: datetime
    last_event_id: str | None
    worst_score: float
    unacknowledged: list[str]  # ids, the latest 64
    unacknowledged_count: int
    suppressed: int


class InputState(msgspec.Struct, frozen=True, kw_only=True):
    """How one input stands."""

    name: str
    input_state: State
    alarm: AlarmStatus
    bundle: str
    calibration: str
    calibration_state: CalibrationState
    calibration_reason: str
    bundle_trial: TrialState  # failed: a later version was left for this one
    bundle_note: str  # what came of its last test, or why the later one was left


class NodeState(msgspec.Struct, frozen=True, kw_only=True):
    """`<prefix>/<node>/state`: retained, said anew whenever it changes."""

    schema: str
    node: str
    reported_utc: datetime
    clock_synced: bool
    inputs: list[InputState]
