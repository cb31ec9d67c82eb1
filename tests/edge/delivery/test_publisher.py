"""Delivery to a real mosquitto: nothing lost, in order, deleted only when acknowledged."""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from edge.delivery import connection as connection_module
from edge.delivery import publisher as publisher_module
from edge.delivery.backoff import BackoffLimits
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import MAX_IN_FLIGHT, Publisher
from edge.delivery.records import Outgoing
from edge.delivery.settings import MqttSettings
from edge.delivery.ulid import UlidSource
from tests.conftest import Broker, free_port, run_mosquitto
from tests.edge.delivery.faults import Proxy
from tests.edge.delivery.test_listen import DEADLINE_S, Subscriber, retained, wait_until

new_id = UlidSource()
FAST = BackoffLimits(first_s=0.05, last_s=0.2, considerate_s=0.3)
EVENTS, AVAILABILITY = "site/pump-3/event", "site/pump-3/availability"


@contextmanager
def publishing(
    folder: Path, port: int, waiting: int = 0, **changes: Any
) -> Iterator[tuple[Publisher, Outbox]]:
    """A publisher whose outbox already holds events."""
    outbox = Outbox(folder / "state")
    for number in range(waiting):
        put(outbox, b"%d" % number)
    settings = MqttSettings(url=f"mqtt://127.0.0.1:{port}", topic_prefix="site", **changes)
    publisher = Publisher(settings, "pump-3", outbox, FAST)
    publisher.start()
    try:
        yield publisher, outbox
    finally:
        publisher.stop()
        outbox.close()


def put(outbox: Outbox, payload: bytes, **changes: Any) -> int:
    """Keep a message with an id of its own."""
    return outbox.put(Outgoing(id=new_id(), payload=payload, **changes))


def connected(node: Publisher) -> None:
    """Wait until what is put from now on is a live event."""
    wait_until(lambda: node.connection.session, node.pump)
    node.pump()


def numbers(count: int) -> list[bytes]:
    return [b"%d" % number for number in range(count)]


def without_repeats(payloads: list[bytes]) -> list[bytes]:
    return list(dict.fromkeys(payloads))


def test_events_arrive_once_in_order_with_qos_1_and_leave_the_outbox(
    tmp_path: Path, broker: Broker
) -> None:
    with Subscriber(broker.port) as heard, publishing(tmp_path, broker.port, 50) as (node, outbox):
        assert node.drain(DEADLINE_S) == 0
        assert len(outbox) == 0
        wait_until(lambda: len(heard.payloads(EVENTS)) >= 50)
        assert heard.payloads(EVENTS) == numbers(50)
        events = [message for message in heard.messages if message.topic == EVENTS]
        assert {(event.qos, event.retain) for event in events} == {(1, False)}


def test_an_event_is_deleted_only_when_its_puback_has_come(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    """F16."""
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, outbox):
        connected(node)
        proxy.answering.clear()
        put(outbox, b"event")
        wait_until(lambda: heard.payloads(EVENTS), node.pump)
        assert node.drain(0.3) == 1
        proxy.answering.set()
        assert node.drain(DEADLINE_S) == 0


@pytest.mark.parametrize(
    ("protocol", "limit", "in_flight"),
    [("3.1.1", MAX_IN_FLIGHT, 20), ("3.1.1", 7, 7), ("5", MAX_IN_FLIGHT, 16)],
    ids=["20, as documented", "our own count", "the broker allows 20, states among them"],
)
def test_no_more_than_the_limit_are_in_flight_and_200_arrive_in_order(
    tmp_path: Path,
    broker: Broker,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
    protocol: Any,
    limit: int,
    in_flight: int,
) -> None:
    """F14, F15. What exceeds the limit waits on disk, not in paho's memory."""
    monkeypatch.setattr(publisher_module, "MAX_IN_FLIGHT", limit)
    with (
        Subscriber(broker.port) as heard,
        publishing(tmp_path, proxy.port, protocol=protocol) as (node, outbox),
    ):
        connected(node)
        proxy.answering.clear()
        for payload in numbers(200):
            put(outbox, payload)
        wait_until(lambda: len(heard.payloads(EVENTS)) >= in_flight, node.pump)
        assert node.drain(0.3) == 200
        assert len(heard.payloads(EVENTS)) == in_flight
        proxy.answering.set()
        assert node.drain(DEADLINE_S) == 0
        wait_until(lambda: len(heard.payloads(EVENTS)) >= 200)
        assert heard.payloads(EVENTS) == numbers(200)


@pytest.mark.parametrize("waiting", [5, 60])
def test_a_cut_before_the_puback_loses_nothing(
    tmp_path: Path, broker: Broker, proxy: Proxy, waiting: int
) -> None:
    """F15, F16, F17: what was in flight comes again, in its order."""
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, outbox):
        connected(node)
        proxy.answering.clear()
        for payload in numbers(waiting):
            put(outbox, payload)
        wait_until(lambda: heard.payloads(EVENTS), node.pump)
        proxy.cut()
        proxy.answering.set()
        assert node.drain(DEADLINE_S) == 0
        wait_until(lambda: len(set(heard.payloads(EVENTS))) >= waiting)
        assert without_repeats(heard.payloads(EVENTS)) == numbers(waiting)


class PauseAt(logging.Handler):
    """Holds paho's thread where it reports something, until told to go on."""

    def __init__(self, words: str, hold_s: float) -> None:
        super().__init__()
        self._words, self._hold_s = words, hold_s
        self.reached, self.go_on = threading.Event(), threading.Event()

    def __enter__(self) -> "PauseAt":
        connection_module.log.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self.go_on.set()
        connection_module.log.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Called by the thread that logs."""
        if self._words in record.getMessage():
            self.reached.set()
            self.go_on.wait(self._hold_s)


def test_new_events_do_not_overtake_those_that_were_in_flight(
    tmp_path: Path, broker: Broker, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    """F17: the loop pumps at the very moment of the reconnection."""
    caplog.set_level(logging.INFO, connection_module.__name__)
    with Subscriber(broker.port) as heard, publishing(tmp_path, proxy.port) as (node, outbox):
        connected(node)
        proxy.sending.clear()
        for payload in numbers(5):
            put(outbox, payload)
        node.pump()
        put(outbox, b"5")
        with PauseAt("connected to", DEADLINE_S) as pause:
            proxy.cut()
            proxy.sending.set()
            assert pause.reached.wait(DEADLINE_S)
            node.pump()
        assert node.drain(DEADLINE_S) == 0
        wait_until(lambda: len(set(heard.payloads(EVENTS))) >= 6)
        assert without_repeats(heard.payloads(EVENTS)) == numbers(6)


def test_a_restart_sends_what_was_not_acknowledged(
    tmp_path: Path, broker: Broker, proxy: Proxy
) -> None:
    """F16: the link dies and then the node, between PUBLISH and PUBACK."""
    with Subscriber(broker.port) as heard:
        with publishing(tmp_path, proxy.port) as (node, outbox):
            connected(node)
            proxy.answering.clear()
            put(outbox, b"event")
            wait_until(lambda: heard.payloads(EVENTS), node.pump)
            proxy.cut()
            wait_until(lambda: node.trouble)
        with publishing(tmp_path, broker.port) as (node, _):
            assert node.drain(DEADLINE_S) == 0
        wait_until(lambda: len(heard.payloads(EVENTS)) == 2)


def test_a_broker_that_comes_up_later_gets_everything(tmp_path: Path) -> None:
    """F03, F04, F06, F08."""
    port = free_port()
    with publishing(tmp_path, port, 3) as (node, _):
        wait_until(lambda: node.trouble, node.pump)
        assert node.trouble == (
            f"mqtt://127.0.0.1:{port} can't be reached: "
            "connection refused; is the broker running there?"
        )
        with run_mosquitto(tmp_path, port), Subscriber(port) as heard:
            assert node.drain(DEADLINE_S) == 0
            assert node.trouble is None
            wait_until(lambda: len(heard.payloads(EVENTS)) >= 3)
            assert heard.payloads(EVENTS) == numbers(3)


def test_a_restarted_broker_gets_the_next_events_and_the_availability_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F20, F33, F36."""
    port = free_port()
    with run_mosquitto(tmp_path, port) as first, publishing(tmp_path, port, 1) as (node, outbox):
        assert node.drain(DEADLINE_S) == 0
        with caplog.at_level(logging.WARNING, connection_module.__name__):
            first.process.kill()
            first.process.wait(DEADLINE_S)
            wait_until(lambda: node.trouble)
            wait_until(lambda: "events are kept and sent later" in caplog.text)
        put(outbox, b"later")
        with run_mosquitto(tmp_path, port), Subscriber(port) as heard:
            assert node.drain(DEADLINE_S) == 0
            wait_until(lambda: heard.payloads(EVENTS))
            assert heard.payloads(EVENTS) == [b"later"]
            assert retained(port, AVAILABILITY) == b"online"


def test_availability_is_retained_online_and_offline_after_a_clean_stop(
    tmp_path: Path, broker: Broker
) -> None:
    """F26, F27."""
    with Subscriber(broker.port) as heard:
        with publishing(tmp_path, broker.port):
            wait_until(lambda: heard.payloads(AVAILABILITY))
            assert retained(broker.port, AVAILABILITY) == b"online"
        wait_until(lambda: len(heard.payloads(AVAILABILITY)) >= 2)
        assert heard.payloads(AVAILABILITY) == [b"online", b"offline"]
        assert retained(broker.port, AVAILABILITY) == b"offline"


PUBLISH_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from edge.delivery.publisher import Publisher
from edge.delivery.outbox import Outbox
from edge.settings import MqttSettings
outbox = Outbox(Path(sys.argv[1]))
Publisher(MqttSettings(url=sys.argv[2], topic_prefix="site"), "pump-3", outbox).start()
time.sleep(60)
"""


def test_the_broker_says_offline_for_a_node_that_was_killed(tmp_path: Path, broker: Broker) -> None:
    """F26."""
    command = [sys.executable, "-c", PUBLISH_UNTIL_KILLED, str(tmp_path), broker.url]
    with Subscriber(broker.port) as heard, subprocess.Popen(command) as child:
        wait_until(lambda: heard.payloads(AVAILABILITY) == [b"online"])
        child.kill()
        assert child.wait(DEADLINE_S) == -signal.SIGKILL
        wait_until(lambda: heard.payloads(AVAILABILITY) == [b"online", b"offline"])
        assert retained(broker.port, AVAILABILITY) == b"offline"


def test_a_refused_connection_is_named_and_not_repeated_hotly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """F29."""
    port = free_port()
    with run_mosquitto(tmp_path, port, "allow_anonymous false"):
        hop = Proxy(port)
        with (
            caplog.at_level(logging.WARNING, connection_module.__name__),
            publishing(tmp_path, hop.port, 1) as (node, outbox),
        ):
            wait_until(lambda: hop.connections >= 2, node.pump)
            assert "refuses the connection: Not authorized" in str(node.trouble)
            assert node.drain(0.5) == len(outbox) == 1
            assert hop.connections <= 3
        hop.close()
    assert caplog.text.count("refuses the connection") == 1


def test_a_broker_that_dies_while_the_node_stops_is_no_error(
    tmp_path: Path, broker: Broker
) -> None:
    """F20: the link is gone, and the node doesn't know it yet when it says goodbye."""
    with Subscriber(broker.port) as heard, publishing(tmp_path, broker.port) as (node, _):
        wait_until(lambda: heard.payloads(AVAILABILITY))
        with PauseAt("is gone", hold_s=1.0) as pause:
            broker.process.kill()
            assert pause.reached.wait(DEADLINE_S)
            node.stop()
