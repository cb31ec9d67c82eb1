"""Answers: a broker that acknowledges none of them doesn't fill the node's memory."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from edge.delivery.answers import IN_FLIGHT, MOST_BYTES, MOST_WAITING
from edge.delivery.publisher import POLL_S
from tests.edge.delivery.test_listen import Subscriber, wait_until
from tests.edge.delivery.test_publisher import connected, publishing

if TYPE_CHECKING:
    from pathlib import Path

    from edge.delivery.publisher import Publisher
    from tests.conftest import Broker
    from tests.edge.delivery.faults import Proxy

RESULT = "site/pump-3/cmd/result"


def put_nothing_more(node: Publisher) -> None:
    """Turns of the loop in which more could be sent."""
    for _ in range(20):
        node.pump()
        time.sleep(POLL_S)


def test_what_waits_for_the_broker_is_bounded_in_number(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, _):
        connected(node)
        proxy.answering.clear()
        most = MOST_WAITING + IN_FLIGHT
        said = [node.publish("cmd/result", b"x") for _ in range(2 * most)]
        assert said == [True] * most + [False] * most
        proxy.answering.set()
        wait_until(lambda: node.publish("cmd/result", b"again"), node.pump)
        wait_until(lambda: b"again" in heard.payloads(RESULT), node.pump)
        assert len(heard.payloads(RESULT)) == most + 1


def test_few_are_in_flight_and_all_come_in_order(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    """MQTT 5, 3.2.2.3.3: a broker may end a connection over more than its receive maximum."""
    parts = [b"%d" % number for number in range(45)]
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, _):
        connected(node)
        proxy.answering.clear()
        assert all(node.publish("cmd/result", part) for part in parts)
        wait_until(lambda: heard.payloads(RESULT), node.pump)
        put_nothing_more(node)
        assert heard.payloads(RESULT) == parts[:IN_FLIGHT]
        proxy.answering.set()
        wait_until(lambda: len(heard.payloads(RESULT)) == len(parts), node.pump)
        assert heard.payloads(RESULT) == parts


def test_what_waits_for_the_broker_is_bounded_in_size(tmp_path: Path, proxy: Proxy) -> None:
    part = bytes(64_000)
    with publishing(tmp_path, proxy.port) as (node, _):
        connected(node)
        proxy.answering.clear()
        said = [node.publish("cmd/result", part) for _ in range(MOST_WAITING)]
        assert sum(said) == MOST_BYTES // len(part) + IN_FLIGHT
        proxy.cut()
        proxy.answering.set()
        wait_until(lambda: not node.connection.session, node.pump)
        connected(node)
        assert node.publish("cmd/result", part), "another session begins with none"
