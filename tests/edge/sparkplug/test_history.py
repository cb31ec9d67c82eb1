"""History and time: what could not be told when it happened comes later, with its own time."""

from __future__ import annotations

import pytest

from edge.sparkplug.history import History
from edge.sparkplug.metrics import Reading
from edge.sparkplug.state import FLUSHED_AT_ONCE, MESSAGES_A_TURN
from tests.edge.sparkplug.life import DEVICE_METRICS, START_UTC_S, Life, born, say

BIRTHS = ["NBIRTH", "DBIRTH a", "DBIRTH b"]


def test_births_come_with_the_subscriptions_and_history_after_them() -> None:
    life = Life()
    life.update()
    life.connect()
    assert life.kinds()[:3] == BIRTHS
    life.turn()
    assert all(metric.is_historical for each in life.messages for metric in each.metrics)
    assert life.kinds() == ["NDATA", "DDATA a", "DDATA b"]
    assert life.tracker.faults == []


def test_what_happens_offline_comes_as_history_with_its_own_time() -> None:
    life = born()
    life.lose(None)
    happened_s = life.utc_s
    life.happen("a", 7)
    life.pass_time(100.0)
    life.connect()
    life.turn()
    seen = [s for s in life.tracker.everything["a", "Event"] if s.is_historical and s.value == 7]
    assert [s.timestamp_ms for s in seen] == [round(happened_s * 1000)]


def test_events_of_a_link_that_was_dead_already_come_again() -> None:
    """QoS 0: what was written to it is lost without a word."""
    life = born()
    life.happened("a", 1)
    life.deliver(lose=True)
    life.pass_time(30.0)
    life.lose(None)
    life.connect()
    life.turn()
    assert 1 in life.events("a")


def test_events_that_are_old_enough_to_have_arrived_do_not() -> None:
    life = born()
    life.happen("a", 1)
    life.pass_time(1_000.0)
    life.happen("a", 2)
    life.lose(None)
    life.connect()
    life.turn()
    seen = [s.value for s in life.tracker.everything["a", "Event"] if s.is_historical]
    assert 1 not in seen
    assert 2 in seen


def test_a_long_history_is_told_in_parts() -> None:
    life = born()
    life.lose(None)
    count = FLUSHED_AT_ONCE * MESSAGES_A_TURN + 10
    for number in range(count):
        life.pass_time(0.01)
        life.happened("a", number)
    life.connect()
    life.kinds()
    life.turn()
    assert len(life.kinds()) == MESSAGES_A_TURN
    life.turn()
    assert life.events("a") == set(range(count))
    assert life.tracker.faults == []


def test_a_host_whose_clock_was_set_back_is_believed_in_the_next_session() -> None:
    life = born(primary_host=True)
    life.lose(None)
    life.connect()
    say(life, 5, online=True)
    assert life.born


@pytest.mark.parametrize("step_s", [-14 * 86_400.0, 7 * 86_400.0, -0.6])
def test_a_clock_that_is_set_makes_a_new_birth_and_order_stays(step_s: float) -> None:
    life = born()
    life.happen("a", 1)
    life.utc_s += step_s
    life.pass_time(1.0)
    life.happen("a", 2)
    assert life.kinds()[1:4] == BIRTHS
    life.turn()
    two = [s for s in life.tracker.everything["a", "Event"] if s.value == 2]
    assert {s.timestamp_ms for s in two} == {round(life.utc_s * 1000)}
    assert life.tracker.faults == []
    assert life.tracker.bd_seq == 0, "the session goes on"


def test_history_of_a_node_that_started_in_the_past_gets_its_right_time() -> None:
    """A board without a clock battery: first 1970, then right."""
    life = Life()
    life.utc_s = 12.0
    life.update()
    life.happen("a", 1)
    life.utc_s = START_UTC_S
    life.connect()
    life.turn()
    times = [s.timestamp_ms for s in life.tracker.everything["a", "Event"]]
    assert set(times) == {round(START_UTC_S * 1000)}


def test_a_small_correction_of_the_clock_changes_nothing() -> None:
    life = born()
    life.utc_s += 0.2
    life.happen("a", 1)
    assert life.kinds() == ["DDATA a"]


def test_history_of_a_device_that_is_away_is_not_looked_through_again_and_again() -> None:
    """And is told as soon as it is back, or something of another waits."""
    history, looked = History(75.0), 0

    class Devices(set[str | None]):
        """Counts how often a value's device is asked for."""

        def __contains__(self, device: object) -> bool:
            nonlocal looked
            looked += 1
            return super().__contains__(device)

    for number in range(1_000):
        history.keep([history.record(0.0, "b", DEVICE_METRICS[2], Reading(number))])
    for _ in range(100):
        assert history.take(Devices({None, "a"}), 10) == []
    assert looked == 1_000
    history.keep([history.record(1.0, "a", DEVICE_METRICS[2], Reading(7))])
    assert [each.reading.value for each in history.take({None, "a"}, 10)] == [7]
    assert len(history.take({None, "a", "b"}, 10)) == 10
