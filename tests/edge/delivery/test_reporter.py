"""Times of events: dated by the clock as it was, corrected once it is right."""

from datetime import timedelta

import msgspec
import pytest

from edge.delivery import examples
from edge.delivery.boot import boot_id
from edge.delivery.messages import AnomalyEvent, CloudEvent
from edge.delivery.reporter import corrected
from tests.edge.contract import check
from tests.edge.test_clock import FakeTime

TWO_WEEKS = timedelta(days=14)


def unsent(time: FakeTime, *, boot: str | None = None, synced: bool = False) -> AnomalyEvent:
    """An event that was kept just now."""
    event = examples.events()[0]
    assert isinstance(event, AnomalyEvent)
    now = time.clock().utc()
    replace = msgspec.structs.replace
    data = replace(
        event.data,
        boot_id=boot or boot_id(), clock_synced=synced, reported_utc=now,
        reported_monotonic_s=time.monotonic_s, start_utc=now - timedelta(seconds=4),
        end_utc=now - timedelta(seconds=2),
    )  # fmt: skip
    return replace(event, time=now - timedelta(seconds=4), data=data)


def test_an_unsent_event_gets_the_right_time_once_the_clock_is_right() -> None:
    """I04: two weeks back at boot, NTP later; id, number and monotonic time stay."""
    time = FakeTime()
    event = unsent(time)
    time.pass_s(90.0)
    time.utc_s += TWO_WEEKS.total_seconds()
    payload = corrected(msgspec.json.encode(event), time.clock())
    assert payload is not None
    check("a/b/event", payload)
    right: CloudEvent = msgspec.json.decode(payload, type=CloudEvent)
    assert isinstance(right, AnomalyEvent)
    assert right.time - event.time == TWO_WEEKS
    assert right.data.reported_utc - event.data.reported_utc == TWO_WEEKS
    assert right.data.start_utc is not None
    assert event.data.start_utc is not None
    assert right.data.start_utc - event.data.start_utc == TWO_WEEKS
    assert right.data.clock_synced
    assert (right.id, right.data.sequence) == (event.id, event.data.sequence)
    assert right.data.reported_monotonic_s == event.data.reported_monotonic_s


@pytest.mark.parametrize(("boot", "synced"), [("another-start", False), (None, True)])
def test_what_can_not_or_need_not_be_corrected_stays(boot: str | None, *, synced: bool) -> None:
    """I04: the monotonic clock of an earlier start says nothing about this one."""
    time = FakeTime()
    event = unsent(time, boot=boot, synced=synced)
    time.utc_s += 1_000.0
    assert corrected(msgspec.json.encode(event), time.clock()) is None
