"""In which order waiting messages go: standing alarms, live events, the backlog at its rate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge.delivery import publisher as publisher_module
from edge.delivery.lanes import Lanes
from edge.delivery.outbox import Outbox
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, wait_until
from tests.edge.delivery.test_outbox import message
from tests.edge.delivery.test_publisher import EVENTS, connected, numbers, publishing, put

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Broker
    from tests.edge.delivery.faults import Proxy


def order(lanes: Lanes, outbox: Outbox, paused: tuple[str, ...] = ()) -> list[tuple[int, bool]]:
    return [(m.sequence, backlog) for m, backlog in lanes.messages(outbox, paused)]


def test_alarms_that_stand_go_first_then_live_events_then_the_backlog(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    for n in range(1, 101):
        outbox.put(message(active=n in {30, 90}))
    lanes = Lanes(60)  # 61 and later came after the connection
    firsts = dict.fromkeys(sequence for sequence, _ in order(lanes, outbox))
    live = [n for n in range(61, 101) if n != 90]
    assert list(firsts) == [30, 90, *live, *(n for n in range(1, 61) if n != 30)]
    assert order(lanes, outbox) == [], "each is looked at once"
    outbox.put(message())
    assert order(lanes, outbox) == [(101, False)]
    lanes.rewind()
    assert len({sequence for sequence, _ in order(lanes, outbox)}) == 101
    outbox.close()


def test_those_of_a_paused_leaf_are_passed_over_until_it_is_looked_at_again(
    tmp_path: Path,
) -> None:
    outbox = Outbox(tmp_path)
    outbox.put(message(leaf="event"))
    outbox.put(message(leaf="alarm"))
    lanes = Lanes(2)
    assert order(lanes, outbox, ("event",)) == [(2, True)]
    assert order(lanes, outbox) == []
    lanes.rewind()
    assert order(lanes, outbox) == [(1, True), (2, True)]
    outbox.close()


def test_the_backlog_is_sent_in_its_order_at_its_rate(tmp_path: Path, broker: Broker) -> None:
    """F15: not all at once."""
    with (
        Subscriber(broker.port) as heard,
        publishing(tmp_path, broker.port, 60, backlog_rate_per_s=40) as (node, outbox),
    ):
        connected(node)
        begun_s = time.monotonic()
        wait_until(lambda: len(outbox) == 0, node.pump)
        assert time.monotonic() - begun_s > 1.0, "60 at 40 a second"
        wait_until(lambda: len(heard.payloads(EVENTS)) == 60)
        assert heard.payloads(EVENTS) == numbers(60)


def test_a_live_event_passes_a_long_backlog(tmp_path: Path, broker: Broker) -> None:
    """F15, F17: and a subscriber finds the order by the sequence number."""
    with (
        Subscriber(broker.port) as heard,
        publishing(tmp_path, broker.port, 5_000, backlog_rate_per_s=50) as (node, outbox),
    ):
        connected(node)
        node.pump()
        put(outbox, b"live")
        put(outbox, b"later")
        wait_until(lambda: b"later" in heard.payloads(EVENTS), node.pump)
        came = heard.payloads(EVENTS)
        assert came.index(b"live") < came.index(b"later") < 200
        assert len(outbox) > 4_500


def test_a_slow_backlog_leaves_room_for_a_live_event(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    """F15: the backlog's unacknowledged messages never fill the whole window."""
    with (
        Subscriber(broker.port) as heard,
        publishing(tmp_path, proxy.port, 100, backlog_rate_per_s=10_000) as (node, outbox),
    ):
        connected(node)
        proxy.answering.clear()
        wait_until(lambda: len(heard.payloads(EVENTS)) >= 10, node.pump)
        put(outbox, b"live")
        wait_until(lambda: b"live" in heard.payloads(EVENTS), node.pump)
        proxy.answering.set()
        assert node.drain(DEADLINE_S) == 0


def test_a_broker_that_acknowledges_nothing_is_left_and_asked_again(
    tmp_path: Path, broker: Broker, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F15, I16: it answers pings and looks healthy."""
    monkeypatch.setattr(publisher_module, "ACKNOWLEDGE_S", 0.3)
    with (
        Subscriber(broker.port) as heard,
        publishing(tmp_path, proxy.port) as (node, outbox),
    ):
        connected(node)
        proxy.answering.clear()
        put(outbox, b"event")
        wait_until(lambda: "acknowledged nothing" in str(node.trouble), node.pump)
        proxy.answering.set()
        assert node.drain(DEADLINE_S) == 0
        assert outbox.quarantined() == []
        assert set(heard.payloads(EVENTS)) == {b"event"}
