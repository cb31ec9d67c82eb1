"""Answers: a broker that acknowledges none of them doesn't fill the node's memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.delivery.answers import MOST, MOST_BYTES
from tests.edge.delivery.test_listen import Subscriber, wait_until
from tests.edge.delivery.test_publisher import connected, publishing

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Broker
    from tests.edge.delivery.faults import Proxy

RESULT = "site/pump-3/cmd/result"


def test_what_waits_for_the_broker_is_bounded_in_number(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, _):
        connected(node)
        proxy.answering.clear()
        said = [node.publish("cmd/result", b"x") for _ in range(2 * MOST)]
        assert said == [True] * MOST + [False] * MOST
        proxy.answering.set()
        wait_until(lambda: node.publish("cmd/result", b"again"), node.pump)
        wait_until(lambda: b"again" in heard.payloads(RESULT))
        assert len(heard.payloads(RESULT)) == MOST + 1


def test_what_waits_for_the_broker_is_bounded_in_size(tmp_path: Path, proxy: Proxy) -> None:
    part = bytes(64_000)
    with publishing(tmp_path, proxy.port) as (node, _):
        connected(node)
        proxy.answering.clear()
        said = [node.publish("cmd/result", part) for _ in range(MOST)]
        assert sum(said) == MOST_BYTES // len(part)
        proxy.cut()
        proxy.answering.set()
        wait_until(lambda: not node.connection.session, node.pump)
        connected(node)
        assert node.publish("cmd/result", part), "another session begins with none"
