"""One example of each message, with made-up values: for the contract and for tests."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from edge.delivery import messages as m
from edge.delivery.status import (
    HEALTH_SCHEMA,
    STATE_SCHEMA,
    AlarmStatus,
    Health,
    InputHealth,
    InputState,
    NodeState,
)
from edge.remote import ANSWER_SCHEMA, Acknowledge, Answer, Calibrate, Command, Shelve

_NOW = datetime(2026, 11, 25, 14, 3, 26, 512_000, tzinfo=timezone.utc)
_START = _NOW - timedelta(seconds=4, milliseconds=112)
_IDS = ("01KAXG5V20C9D3Z1N8Q4R7T2WE", "01KAXG5V8MB7X0F2H4J6K8M1NP", "01KAXG60Z2Q5S7V9W1X3Y5Z7A9")
_BOOT = "0f6a2c1e-5b7d-4c39-9a55-1d2e3f405162"


def _common(sequence: int, summary: str) -> dict[str, Any]:
    return {
        "node": "pump-3",
        "sequence": sequence,
        "reported_utc": _NOW,
        "reported_monotonic_s": 86_512.204,
        "boot_id": _BOOT,
        "clock_synced": True,
        "summary": summary,
    }


def _of_input() -> dict[str, Any]:
    return {
        "input": "gearbox",
        "source": "microphone port:1-1.2",
        "input_state": "hearing",
        "data_gap": False,
        "start_utc": _START,
        "end_utc": _START + timedelta(seconds=2),
        "start_s": 86_381.12,
        "end_s": 86_383.12,
    }


def _context(number: int) -> dict[str, Any]:
    return {"id": _IDS[number], "source": "/site/area/line/pump-3/gearbox", "time": _START}


def events() -> list[m.CloudEvent]:
    """One of each type."""
    anomaly = m.Anomaly(
        **_common(17, "hiss, 2.0 s, 5.4-13.4 kHz, 18 dB above normal; nothing like it in 42 "
                      "minutes of calibration"),
        **_of_input(),
        low_hz=5_412.0, high_hz=13_380.5, peak_s=86_381.92, peak_hz=9_871.3, score=3.42,
        scale_s=0.72, excess_db=18.1, contrast_db=15.7, nearest_recording="000.flac",
        nearest_s=812.4, false_alarms_per_day=0.0031, sounds_like="hiss",
        bundle="18c55c7003adbcb4", calibration="6b1f0a2c9d3e4f58", calibration_state="current",
    )  # fmt: skip
    level = m.Level(
        **_common(18, "louder than -20 dBFS at 0.0-24.0 kHz for 2.0 s (-17.3 dBFS), rule loud"),
        **_of_input(), low_hz=0.0, high_hz=24_000.0, rule="loud", level_dbfs=-17.3,
        above_dbfs=-20.0,
    )  # fmt: skip
    alarm = m.AlarmChange(
        **_common(19, "alarm active unacknowledged: it sounds wrong"),
        input="gearbox", before="normal", after="active_unacknowledged", cause="event", by="",
        comment="", event_id=_IDS[0], score=3.42, annunciated=True, suppressed_by=None,
    )  # fmt: skip
    summary = m.AlarmSummary(
        **_common(31, "9 changes of the alarm were not told one by one: too many in an hour; "
                      "worst score 5.10"),
        input="gearbox", count=9, worst_score=5.1, first_event_id=_IDS[0], last_event_id=_IDS[1],
    )  # fmt: skip
    loss = m.Loss(
        **_common(90_211, "1200 events were dropped before they were delivered, numbers 201 to "
                          "1400: too many were waiting"),
        count=1_200, first_sequence=201, last_sequence=1_400,
    )  # fmt: skip
    node_source = {**_context(2), "source": "/site/area/line/pump-3"}
    return [
        m.AnomalyEvent(**_context(0), data=anomaly),
        m.LevelEvent(**_context(1), data=level),
        m.AlarmEvent(**_context(1), data=alarm),
        m.SummaryEvent(**_context(2), data=summary),
        m.LossEvent(**node_source, data=loss),
    ]


def health() -> Health:
    """A node in good health."""
    heard = InputHealth(
        name="gearbox", source="microphone port:1-1.2", state="hearing", reason="",
        state_age_s=86_380.4, level_dbfs=-41.2, last_frame_age_s=0.05, last_score_age_s=0.06,
        scored_s=86_371.9, gaps=1, gaps_s=8.31, dropped_s=0.0, real_time_factor=0.031,
        overloaded=False,
        facts={"asked_device": "port:1-1.2", "asked_rate_hz": 48_000, "rate_hz": 44_100,
               "channels": 1, "openings": 2, "overflows": 0},
    )  # fmt: skip
    return Health(
        schema=HEALTH_SCHEMA, node="pump-3", version="0.1.0", reported_utc=_NOW,
        clock_synced=True, boot_id=_BOOT, uptime_s=86_401.7, inputs=[heard], events_waiting=0,
        events_durable=True, bytes_written_a_day=1_482_752, trouble=None,
    )  # fmt: skip


def state() -> NodeState:
    """An alarm that nobody has acknowledged yet."""
    alarm = AlarmStatus(
        name="active_unacknowledged", condition="active_unacknowledged", active=True,
        acknowledged=False, latched=False, suspect=False, shelving="Unshelved",
        shelved_for_s=None, out_of_service=False, since_utc=_NOW, last_event_id=_IDS[0],
        worst_score=3.42, unacknowledged=[_IDS[0]], unacknowledged_count=1, suppressed=0,
    )  # fmt: skip
    gearbox = InputState(
        name="gearbox", input_state="hearing", alarm=alarm, bundle="18c55c7003adbcb4",
        calibration="6b1f0a2c9d3e4f58", calibration_state="current", calibration_reason="",
        bundle_trial="passed", bundle_note="",
    )  # fmt: skip
    return NodeState(
        schema=STATE_SCHEMA, node="pump-3", reported_utc=_NOW, clock_synced=True,
        inputs=[gearbox],
    )  # fmt: skip


def commands() -> dict[str, Command]:
    """One of each form."""
    return {
        "acknowledge": Acknowledge(id="a-17", input="gearbox", by="M. Keller", event_id=_IDS[0]),
        "shelve": Shelve(id="a-18", input="gearbox", by="M. Keller", for_s=3600.0),
        "unshelve": Command(id="a-19", input="gearbox", by="M. Keller"),
        "calibrate": Calibrate(id="a-20", input="gearbox", seconds=600.0),
    }


def answer() -> Answer:
    """What became of the first of them."""
    return Answer(
        schema=ANSWER_SCHEMA, node="pump-3", id="a-17", command="acknowledge", status="done",
        text="acknowledged 1 event", reported_utc=_NOW,
    )  # fmt: skip
