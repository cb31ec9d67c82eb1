"""The metrics that there are. Their names are promises: SCADA tags and histories hang on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.sparkplug.datatypes import DataType
from edge.sparkplug.metrics import BD_SEQ, REBIRTH, Deadband, Definition

if TYPE_CHECKING:
    from edge.sparkplug.settings import SparkplugSettings

BD_SEQ_DEFINITION = Definition(name=BD_SEQ, datatype=DataType.INT64)
REBIRTH_DEFINITION = Definition(
    name=REBIRTH, datatype=DataType.BOOLEAN, writable=True,
    documentation="write true: everything is told again",
)  # fmt: skip
ACKNOWLEDGE, SHELVE = "Command/Acknowledge", "Command/Shelve"
UNSHELVE, RECALIBRATE = "Command/Unshelve", "Command/Recalibrate"
ANSWER = "Command/Answer"
JITTER_MS = 1_500.0  # times that are computed anew each turn differ by so much
DROPPED = Deadband(absolute=1.0, share=0.5)  # else telling it would push out what it counts
QUIETEST_DBFS = -120.0
LONGEST_SHELF_S = 7 * 86_400.0

_D, _B, _S, _I = DataType.DOUBLE, DataType.BOOLEAN, DataType.STRING, DataType.INT64
_TIME = DataType.DATETIME


def node_definitions() -> list[Definition]:
    """The edge node's own metrics, but for bdSeq and rebirth."""
    return [
        Definition(name="Node Info/Version", datatype=_S, documentation="earpatch's version"),
        Definition(
            name="Node Info/Clock synced", datatype=_B,
            documentation="whether the times of all metrics can be trusted",
        ),
        Definition(
            name="Delivery/Events waiting", datatype=_I,
            documentation="for the broker of the JSON contract",
        ),
        Definition(
            name="Delivery/Events durable", datatype=_B,
            documentation="false: they wait in memory, since the disk takes nothing",
        ),
        Definition(
            name="Delivery/Trouble", datatype=_S,
            documentation="what keeps events from being kept; null: nothing",
        ),
        Definition(
            name="Delivery/History dropped", datatype=_I, deadband=DROPPED,
            documentation="Sparkplug values that waited too long",
        ),
    ]  # fmt: skip


def device_definitions(settings: SparkplugSettings) -> list[Definition]:
    """The metrics of one device: a microphone and the machine that it listens to."""
    return [*_sound(settings), *_alarm(), *_condition(settings), *_event(), *_commands()]


def _sound(settings: SparkplugSettings) -> list[Definition]:
    score = Deadband(absolute=settings.score_deadband, limit=1.0)
    level = Deadband(absolute=settings.level_deadband_db)
    rate = Deadband(share=settings.false_alarms_deadband)
    return [
        Definition(
            name="Score", datatype=_D, low=0.0, high=10.0, deadband=score,
            documentation="how far the sound stands out of normal; 1 is the alarm level",
        ),
        Definition(
            name="False alarms a day", datatype=_D, unit="1/d", low=0.0, deadband=rate,
            documentation="how often normal sound would reach this score",
        ),
        Definition(
            name="Input/Level", datatype=_D, unit="dBFS", low=QUIETEST_DBFS, high=0.0,
            deadband=level, documentation="RMS; null: digital silence or no sound",
        ),
        Definition(
            name="Input/State", datatype=_S,
            documentation="starting, hearing, silent, frozen, clipped, stalled, absent, "
            "recovering, ended",
        ),
        Definition(name="Input/Reason", datatype=_S, documentation="why it is not hearing"),
        Definition(name="Input/Source", datatype=_S),
    ]  # fmt: skip


def _alarm() -> list[Definition]:
    since = Deadband(absolute=JITTER_MS)
    return [
        Definition(name="Alarm/State", datatype=_S, documentation="ISA-18.2"),
        Definition(
            name="Alarm/Condition",
            datatype=_S,
            documentation="the state underneath, while shelved or out of service",
        ),
        Definition(name="Alarm/Active", datatype=_B),
        Definition(name="Alarm/Acknowledged", datatype=_B),
        Definition(name="Alarm/Latched", datatype=_B),
        Definition(name="Alarm/Shelved", datatype=_B),
        Definition(name="Alarm/Shelved until", datatype=_TIME, deadband=since),
        Definition(name="Alarm/Out of service", datatype=_B),
        Definition(name="Alarm/Since", datatype=_TIME, deadband=since),
        Definition(name="Alarm/Unacknowledged", datatype=_I, documentation="events that wait"),
        Definition(name="Alarm/Worst score", datatype=_D),
    ]


def _condition(settings: SparkplugSettings) -> list[Definition]:
    load = Deadband(absolute=settings.load_deadband, limit=1.0)
    return [
        Definition(
            name="Health/Real-time factor", datatype=_D, low=0.0, high=1.0, deadband=load,
            documentation="scoring time over sound; from 1 on it is too slow",
        ),
        Definition(name="Health/Overloaded", datatype=_B),
        Definition(name="Health/Gaps", datatype=_I, documentation="holes in the sound"),
        Definition(name="Health/Missing sound", datatype=_D, unit="s"),
        Definition(name="Calibration/State", datatype=_S, documentation="current, ageing, stale"),
        Definition(name="Calibration/Reason", datatype=_S),
        Definition(name="Calibration/ID", datatype=_S),
        Definition(name="Calibration/Bundle", datatype=_S),
        Definition(
            name="Calibration/Trial", datatype=_S, documentation="none, on trial, passed, failed",
        ),
        Definition(name="Calibration/Trial note", datatype=_S),
    ]  # fmt: skip


def _event() -> list[Definition]:
    """The last event, one metric for each of its facts, all told together with one time."""
    kinds = {
        "ID": (_S, "", "of the same event in the JSON contract"),
        "Sequence": (_I, "", "of the same event in the JSON contract"),
        "Kind": (_S, "", "anomaly, or level: a level rule was met"),
        "Start": (_TIME, "", "null: the sound has no clock"),
        "End": (_TIME, "", ""),
        "Duration": (_D, "s", ""),
        "Low frequency": (_D, "Hz", ""),
        "High frequency": (_D, "Hz", ""),
        "Peak frequency": (_D, "Hz", ""),
        "Score": (_D, "", "1 is the alarm level; null for a level rule"),
        "False alarms a day": (_D, "1/d", "how often normal sound would reach this score"),
        "Excess level": (_D, "dB", "of its loudest band above what is normal there"),
        "Level": (_D, "dBFS", "of a level rule; null for an anomaly"),
        "Sounds like": (_S, "", ""),
        "Sound missing": (_B, "", "beside it, so that it may have been longer"),
        "Summary": (_S, "", ""),
    }
    return [
        Definition(name=f"Event/{name}", datatype=kind, unit=unit, documentation=text, event=True)
        for name, (kind, unit, text) in kinds.items()
    ]


def _commands() -> list[Definition]:
    return [
        Definition(
            name=ACKNOWLEDGE, datatype=_B, writable=True, initial=False,
            documentation="write true: all events that wait are acknowledged",
        ),
        Definition(
            name=SHELVE, datatype=_D, unit="s", low=0.0, high=LONGEST_SHELF_S, writable=True,
            initial=0.0,
            documentation="write for how long",
        ),
        Definition(
            name=UNSHELVE, datatype=_B, writable=True, initial=False, documentation="write true",
        ),
        Definition(
            name=RECALIBRATE, datatype=_B, writable=True, initial=False,
            documentation="write true: normal sound is learnt from now on",
        ),
        Definition(
            name=ANSWER, datatype=_S, event=True, documentation="to the last command",
        ),
    ]  # fmt: skip
