"""The edge node's state machine, without a network: births, deaths, sequence, history."""

from __future__ import annotations

import pytest

from edge.sparkplug.state import Phase
from edge.sparkplug.topics import MessageType
from tests.edge.sparkplug.life import Life, born, say

BIRTHS = ["NBIRTH", "DBIRTH a", "DBIRTH b"]


def test_nothing_is_said_while_connecting() -> None:
    life = Life()
    life.state.connecting(0)
    life.update()
    life.happen("a", 1)
    assert life.kinds() == []


def test_300_events_wrap_the_sequence() -> None:
    """G10: seq 255 is followed by 0, and is not bdSeq."""
    life = born()
    for number in range(300):
        life.pass_time(0.1)
        life.happen("a", number)
    assert life.events("a") == set(range(300))
    assert life.tracker.faults == []
    assert life.tracker.bd_seq == 0


def test_bd_seq_is_in_nbirth_and_ndeath_alone() -> None:
    """G03."""
    life = born()
    life.update(waiting=1)
    life.happen("a", 1)
    life.update(b=False)
    life.state.rebirth()
    life.turn()
    life.state.leave()
    life.deliver()
    for message in life.messages:
        names = {metric.definition.name for metric in message.metrics}
        assert ("bdSeq" in names) == (message.type in {MessageType.NBIRTH, MessageType.NDEATH})


def test_the_will_is_bd_seq_without_a_seq() -> None:
    """G02."""
    life = Life()
    will = life.connect()
    assert (will.type, will.seq) == (MessageType.NDEATH, None)
    assert [metric.definition.name for metric in will.metrics] == ["bdSeq"]


def test_a_rebirth_stops_data_at_once_and_keeps_the_bd_seq() -> None:
    """G01: what happens between the command and the births is told after them, as history."""
    life = born()
    life.state.rebirth()
    life.happened("a", 1)
    life.pass_time(0.1)
    life.turn()
    assert life.kinds() == BIRTHS
    life.turn()
    assert life.kinds() == ["DDATA a"]
    assert life.events("a") == {1}
    assert (life.tracker.bd_seq, life.tracker.births) == (0, 2)


def test_several_rebirths_at_once_are_one() -> None:
    life = born()
    for _ in range(5):
        life.state.rebirth()
    life.turn()
    assert life.kinds() == BIRTHS


def test_a_flood_of_rebirths_is_a_birth_a_second_and_holds_nothing_up() -> None:
    """A birth is a hundred times as long as what asks for it."""
    life, data = born(), 0
    for number in range(100):  # of a tenth of a second
        life.state.rebirth()
        life.happened("a", number)
        life.pass_time(0.1)
        life.turn()
        data += life.kinds().count("DDATA a")
    assert 10 <= life.tracker.births <= 12
    assert data > 80
    life.pass_time(1.0)
    life.turn()
    life.turn()
    assert life.events("a") == set(range(100))
    assert life.tracker.faults == []


def test_a_microphone_that_goes_takes_its_device_and_nothing_else() -> None:
    life = born()
    life.update(b=False)
    assert life.kinds() == ["DDEATH b"]
    life.happen("a", 1)
    assert life.kinds() == ["DDATA a"]
    life.happen("b", 2)
    assert life.kinds() == [], "kept, since a dead device says nothing"
    life.pass_time(1.0)
    life.update(b=True)
    assert life.kinds() == ["DBIRTH b", "DDATA b"]
    assert life.events("b") == {2}
    assert life.tracker.faults == []


def test_a_device_that_was_never_there_is_not_born() -> None:
    life = Life()
    life.update(b=False)
    life.connect()
    assert life.kinds() == BIRTHS[:2]


def test_births_wait_for_the_primary_host() -> None:
    life = Life(primary_host=True)
    life.update()
    life.connect()
    assert (life.state.phase, life.kinds()) == (Phase.WAITING, [])
    say(life, 1_000, online=False)
    assert life.kinds() == []
    say(life, 2_000, online=True)
    assert life.kinds()[:3] == BIRTHS


def test_the_node_leaves_with_the_primary_host_and_says_so_once() -> None:
    life = born(primary_host=True)
    say(life, 2_000, online=False)
    assert (life.state.phase, life.kinds()) == (Phase.LEAVING, ["NDEATH"])
    life.state.leave()
    life.update(waiting=3)
    life.happen("a", 1)
    assert life.kinds() == []
    life.lose(None)
    life.connect()
    assert life.kinds() == [], "it waits anew: what the host said before was another session"
    say(life, 3_000, online=True)
    life.turn()
    assert life.events("a") == {1}


def test_a_stale_offline_does_not_make_the_node_leave() -> None:
    """G05."""
    life = born(primary_host=True)
    say(life, 999, online=False)
    assert (life.born, life.kinds()) == (True, [])


def test_without_a_primary_host_no_state_matters() -> None:
    life = born()
    say(life, 9_000, online=False)
    assert life.born


def test_a_late_will_of_the_session_before_is_known_by_its_bd_seq() -> None:
    life = Life()
    life.update()
    old_will = life.connect()
    life.lose(None)
    life.connect()
    life.hear(old_will)
    assert life.tracker.online
    assert life.tracker.late_deaths == 1


@pytest.mark.parametrize("compact", [False, True])
def test_commands_find_their_metric(compact: bool) -> None:
    life = born(compact=compact)
    name = life.state.metric_name
    assert name("a", "Score", None) == "Score"
    assert name("a", "score", None) is None
    assert name("nobody", "Score", None) is None
    assert name(None, "Node Control/Rebirth", None) == "Node Control/Rebirth"
    of_a = name("a", None, 2)
    assert of_a == ("Score" if compact else None)
    assert name("b", None, 2) is None, "an alias of another device"
