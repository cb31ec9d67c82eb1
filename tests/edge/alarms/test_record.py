"""An alarm as bytes: it comes back whatever the clocks say; damage is told, not raised."""

from __future__ import annotations

import zlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.alarms import commands
from edge.alarms.alarm import Alarm
from edge.alarms.commands import Operator
from edge.alarms.record import SCHEMA, encode, restore
from edge.alarms.settings import AlarmSettings
from edge.alarms.states import AlarmState, Summary

OPERATOR = Operator("shift leader")
SETTINGS = AlarmSettings(latching=True, max_per_hour=2)
UTC_S = 1_790_000_000.0
DAY_S = 86_400.0


def eventful_alarm() -> Alarm:
    """Shelved, latched, suppressed, partly acknowledged: something in every field."""
    alarm = Alarm(SETTINGS, 0.0)
    for number in range(4):
        alarm.event(f"E{number}", 0.0, 1.0, 2.0 + number, 100.0 * number)
        alarm.tick(100.0 * number + 50.0)
    commands.acknowledge(alarm, "E1", OPERATOR, 360.0)
    alarm.event("E4", 0.0, 1.0, 2.0, 400.0)
    commands.shelve(alarm, 3600.0, OPERATOR, 400.0)
    return alarm


def kept(alarm: Alarm, now_s: float) -> bytes:
    return encode(alarm, now_s, UTC_S)


def test_it_comes_back_as_it_was() -> None:
    alarm = eventful_alarm()
    again, note = restore(kept(alarm, 400.0), SETTINGS, 400.0, UTC_S)
    assert note is None
    assert again.state == alarm.state


def test_a_shelf_goes_on_while_the_power_is_off() -> None:
    """I04: the monotonic clock begins anew, the wall clock has gone on."""
    data = kept(eventful_alarm(), 400.0)
    again, _ = restore(data, SETTINGS, 5.0, UTC_S + 3000.0)
    assert again.state.shelved_until_s == 605.0
    again, _ = restore(data, SETTINGS, 5.0, UTC_S + 3600.0)
    again.tick(5.0)
    assert again.state.name == "active_unacknowledged"


@pytest.mark.parametrize("behind_s", [60.0, 14 * DAY_S, 1e300, float("inf"), float("nan")])
def test_a_wall_clock_that_went_back_never_lengthens_a_shelf(behind_s: float) -> None:
    """I04: two weeks back at boot, since there is no battery behind the clock."""
    again, note = restore(kept(eventful_alarm(), 400.0), SETTINGS, 0.0, UTC_S - behind_s)
    assert note is None
    assert again.state.shelved_until_s == 3600.0


def test_a_shorter_limit_for_shelving_holds_for_what_was_shelved_before() -> None:
    shorter = AlarmSettings(max_shelve_s=60.0)
    again, _ = restore(kept(eventful_alarm(), 400.0), shorter, 0.0, UTC_S)
    assert again.state.shelved_until_s == 60.0


@pytest.mark.parametrize("now_s", [float("nan"), float("inf"), -1e9, 8.9e307])
def test_a_monotonic_clock_that_is_none_is_not_kept(now_s: float) -> None:
    alarm = eventful_alarm()
    again, note = restore(kept(alarm, now_s), SETTINGS, alarm.now_s, UTC_S)
    assert note is None
    assert again.state == alarm.state


def test_time_without_power_is_no_silence() -> None:
    """The machine may have howled all the while: the off-delay goes on where it was."""
    alarm = Alarm(AlarmSettings(off_delay_s=10.0), 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 0.0)
    alarm.tick(4.0)
    again, _ = restore(kept(alarm, 4.0), AlarmSettings(off_delay_s=10.0), 20.0, UTC_S + DAY_S)
    again.tick(25.75)
    assert again.state.active
    again.tick(26.0)
    assert not again.state.active


def test_a_restart_opens_no_new_hour() -> None:
    alarm = Alarm(SETTINGS, 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 0.0)
    alarm.tick(60.0)
    again, _ = restore(kept(alarm, 60.0), SETTINGS, 0.0, UTC_S)
    (suppressed,) = again.event("E2", 0.0, 1.0, 2.0, 1.0)
    assert not isinstance(suppressed, Summary)
    assert suppressed.suppressed_by == "rate"


def test_since_when_it_is_so_survives_a_restart() -> None:
    alarm = Alarm(SETTINGS, 0.0)
    alarm.event("E1", 0.0, 1.0, 2.0, 100.0)
    again, _ = restore(kept(alarm, 160.0), SETTINGS, 5.0, UTC_S + 40.0)
    assert again.state.since_s == 5.0 - 100.0


def fresh() -> AlarmState:
    return Alarm(SETTINGS, 7.0).state


@given(st.binary(max_size=200) | st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace")))
def test_foreign_bytes_are_a_new_alarm_and_a_line(data: bytes) -> None:
    alarm, note = restore(data, SETTINGS, 7.0, UTC_S)
    assert alarm.state == fresh()
    assert note
    assert len(note.splitlines()) == 1


DAMAGE_BYTES = kept(eventful_alarm(), 400.0)


@given(st.integers(0, len(DAMAGE_BYTES) - 1), st.integers(1, 255))
def test_one_wrong_byte_is_noticed(where: int, flip: int) -> None:
    damaged = bytearray(DAMAGE_BYTES)
    damaged[where] ^= flip
    alarm, note = restore(bytes(damaged), SETTINGS, 7.0, UTC_S)
    assert note
    assert alarm.state == fresh()


@given(st.integers(0, len(DAMAGE_BYTES) - 1), st.booleans())
def test_a_file_cut_short_or_filled_with_nul_is_noticed(where: int, nul: bool) -> None:
    """I09, I23."""
    rest = bytes(len(DAMAGE_BYTES) - where) if nul else b""
    alarm, note = restore(DAMAGE_BYTES[:where] + rest, SETTINGS, 7.0, UTC_S)
    assert note
    assert alarm.state == fresh()


def signed(changes: dict[str, object], schema: str = SCHEMA) -> bytes:
    """A whole file with a right checksum and other contents."""
    record = {**msgspec.json.decode(DAMAGE_BYTES)["alarm"], **changes}
    body = msgspec.json.encode(record)
    envelope = {"schema": schema, "crc32": zlib.crc32(body), "alarm": msgspec.Raw(body)}
    return msgspec.json.encode(envelope)


FOREIGN: dict[str, dict[str, object]] = {
    "active for ever": {"active": True, "episode": None},
    "shelved for ever": {"shelving": "TimedShelved", "shelved_for_s": None},
    "a time on no shelf": {"shelving": "Unshelved"},
    "unknown shelf": {"shelving": "Buried"},
    "negative count": {"unlisted": -1},
    "too many ids": {"waiting": ["E"] * 65},
    "unknown field": {"colour": "red"},
    "not a number": {"worst_score": None},
}


def test_what_the_damages_below_start_from_is_whole() -> None:
    assert restore(signed({}), SETTINGS, 7.0, UTC_S)[1] is None


@pytest.mark.parametrize("changes", FOREIGN.values(), ids=FOREIGN)
def test_what_no_alarm_can_be_is_refused_with_a_right_checksum(changes: dict[str, object]) -> None:
    alarm, note = restore(signed(changes), SETTINGS, 7.0, UTC_S)
    assert note
    assert alarm.state == fresh()


def test_another_version_is_named() -> None:
    _, note = restore(signed({}, schema="earpatch.alarm/9"), SETTINGS, 7.0, UTC_S)
    assert note == f"not {SCHEMA}; the alarm begins as normal"
