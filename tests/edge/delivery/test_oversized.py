"""What is larger than any command is not read into memory, and keeps no event from going out."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery.client import MAX_INCOMING_BYTES, make_client, oversized
from edge.delivery.connection import Connection
from edge.delivery.session import Session
from edge.delivery.settings import BrokerSettings
from edge.delivery.trouble import Kind
from edge.sparkplug.session import Outgoing
from edge.sparkplug.session import Session as SparkplugSession
from tests.edge.delivery.test_connection import FAST, IDENTITY
from tests.edge.delivery.test_listen import wait_until

if TYPE_CHECKING:
    import pytest

    from edge.delivery.session import Received
    from tests.conftest import Broker

COMMANDS = "site/pump-3/cmd/+"
HUGE_BYTES = 64 << 20


def say(port: int, topic: str, payload: bytes, *, retain: bool = False) -> None:
    """Somebody who may publish commands."""
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()
    client.publish(topic, payload, qos=1, retain=retain).wait_for_publish(30.0)
    client.disconnect()
    client.loop_stop()


def test_paho_tells_how_large_a_packet_will_be_before_it_has_come() -> None:
    """It does so in private alone: another version of it may not."""
    client = make_client(BrokerSettings(), IDENTITY, paho.MQTTv311)
    assert oversized(client) is None
    client._in_packet["remaining_length"] = MAX_INCOMING_BYTES + 1
    assert oversized(client) == MAX_INCOMING_BYTES + 1


def test_one_that_has_come_at_once_is_not_handed_over_either() -> None:
    """A slow reader finds all of it in the kernel's buffer."""
    heard: list[Received] = []
    session = Session(BrokerSettings(), IDENTITY, paho.MQTTv311, lambda _: None, heard.append)
    message = paho.MQTTMessage(topic=b"site/pump-3/cmd/shelve")
    message.payload = bytes(MAX_INCOMING_BYTES + 1)
    session._on_message(None, None, message)
    assert heard == []
    assert session._end is not None
    assert session._end.kind is Kind.OVERSIZED


def test_with_mqtt_5_the_broker_keeps_it(broker: Broker) -> None:
    heard: list[Received] = []
    connection = Connection(BrokerSettings(url=broker.url, protocol="5"), IDENTITY, FAST)
    connection.subscribe(COMMANDS, heard.append)
    connection.start()
    wait_until(lambda: connection.subscribed(COMMANDS))
    say(broker.port, "site/pump-3/cmd/shelve", bytes(HUGE_BYTES), retain=True)
    say(broker.port, "site/pump-3/cmd/shelve", b"small")
    wait_until(lambda: heard)
    connection.stop()
    assert ([message.payload for message in heard], connection.sessions) == ([b"small"], 1)


def test_with_mqtt_3_1_1_it_ends_the_connection_once_and_events_go_on(
    broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """Retained, it would come at every connection: the next one takes no commands."""
    caplog.set_level(logging.INFO)
    heard: list[Received] = []
    say(broker.port, "site/pump-3/cmd/shelve", bytes(HUGE_BYTES), retain=True)
    connection = Connection(BrokerSettings(url=broker.url, protocol="3.1.1"), IDENTITY, FAST)
    connection.subscribe(COMMANDS, heard.append)
    connection.start()
    wait_until(lambda: connection.sessions == 2 and connection.session)
    assert connection.session is not None
    mid = connection.session.publish("site/pump-3/event", b"event")
    assert connection.session.acknowledged.get(timeout=10.0) is not None
    assert mid is not None
    connection.stop()
    assert (heard, connection.sessions) == ([], 2)
    assert "bytes at once, and commands are small; is that retained" in caplog.text
    assert "takes no commands until the next connection" in caplog.text


def test_a_sparkplug_session_ends_before_it_has_read_it(broker: Broker) -> None:
    will = Outgoing("spBv1.0/plant/NDEATH/pump-3", b"")
    settings = BrokerSettings(url=broker.url)
    session = SparkplugSession(settings, "earpatch-spb-a", "3.1.1", will, threading.Event())
    assert session.connect()
    assert session.subscribe(["spBv1.0/plant/DCMD/pump-3/+"])
    say(broker.port, "spBv1.0/plant/DCMD/pump-3/main", bytes(HUGE_BYTES))
    wait_until(lambda: not session.loop(0.1))
    assert session.trouble is not None
    assert session.trouble.kind is Kind.OVERSIZED
    assert not session.received
    session.close()
