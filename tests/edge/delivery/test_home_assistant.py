"""Home Assistant finds a node, and finds it again after it has lost its memory."""

import json
from typing import Any

import jinja2
import msgspec
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.delivery import examples
from edge.delivery.client import Identity
from edge.delivery.connection import Connection
from edge.delivery.home_assistant import (
    LONGEST_DELAY_S,
    HomeAssistant,
    HomeAssistantSettings,
    discovery,
)
from edge.delivery.session import Received
from edge.delivery.settings import BrokerSettings
from tests.conftest import Broker
from tests.edge.delivery.test_listen import Subscriber, retained, wait_until

TOPIC = "homeassistant/device/earpatch_site_line_pump-3/config"


def found() -> dict[str, Any]:
    return discovery("site/line", "pump-3", ["gearbox"], "earpatch_site_line_pump-3")


def test_every_entity_is_unique_and_has_what_discovery_asks_for() -> None:
    components = found()["components"]
    assert len({each["unique_id"] for each in components.values()}) == len(components) == 6
    for each in components.values():
        assert {"platform", "name", "state_topic", "value_template"} <= set(each)


@pytest.mark.parametrize(
    ("entity", "expected"),
    [
        ("gearbox_alarm", "ON"),
        ("gearbox_state", "active_unacknowledged"),
        ("gearbox_input", "hearing"),
        ("gearbox_level", "-41.2"),
        ("waiting", "0"),
        ("clock", "OFF"),
    ],
)
def test_templates_read_the_messages_of_the_contract(entity: str, expected: str) -> None:
    """Home Assistant's templates are Jinja's."""
    each = found()["components"][entity]
    message = {"state": examples.state(), "health": examples.health()}[
        each["state_topic"].rpartition("/")[2]
    ]
    value = json.loads(msgspec.json.encode(message))
    template = jinja2.Environment(autoescape=True).from_string(each["value_template"])
    assert template.render(value_json=value) == expected


def test_it_is_retained_and_said_again_when_home_assistant_comes_back(broker: Broker) -> None:
    """F35, F36, F37: after a random delay, and retained both times."""
    delays = []

    def at_once(seconds: float, act: Any) -> None:
        delays.append(seconds)
        act()

    url = f"mqtt://127.0.0.1:{broker.port}"
    connection = Connection(
        BrokerSettings(url=url), Identity("earpatch-pump-3", "site/line/pump-3/availability")
    )
    HomeAssistant(
        HomeAssistantSettings(enabled=True), connection, "site/line", "pump-3", ["gearbox"],
        later=at_once,
    )  # fmt: skip
    connection.start()
    try:
        wait_until(lambda: connection.session)
        assert json.loads(retained(broker.port, TOPIC) or b"") == found()
        with Subscriber(broker.port) as heard:
            other = paho.Client(CallbackAPIVersion.VERSION2)
            other.connect("127.0.0.1", broker.port)
            other.loop_start()
            other.publish("homeassistant/status", b"online", qos=1)
            wait_until(lambda: len(heard.payloads(TOPIC)) >= 2)
            other.disconnect()
            other.loop_stop()
        assert len(delays) == 1
        assert 0 <= delays[0] <= LONGEST_DELAY_S
    finally:
        connection.stop()


def test_whoever_says_online_again_and_again_puts_off_one_announcement() -> None:
    """Each is a thread, and a unit has 64."""
    put_off: list[Any] = []
    connection = Connection(BrokerSettings(), Identity("earpatch-a", "a/availability"))
    HomeAssistant(
        HomeAssistantSettings(enabled=True), connection, "site", "a", ["main"],
        later=lambda _seconds, act: put_off.append(act),
    )  # fmt: skip
    online = Received("homeassistant/status", b"online", retained=False)
    for _ in range(1_000):
        connection._received(online)
    assert len(put_off) == 1
    put_off[0]()
    connection._received(online)
    assert len(put_off) == 2


def test_nothing_is_said_unless_it_is_wanted(broker: Broker) -> None:
    settings = BrokerSettings(url=f"mqtt://127.0.0.1:{broker.port}")
    connection = Connection(settings, Identity("earpatch-a", "a/availability"))
    HomeAssistant(HomeAssistantSettings(), connection, "site", "a", ["main"])
    connection.start()
    with Subscriber(broker.port) as heard:
        wait_until(lambda: connection.session)
        connection.stop()
        assert not [m for m in heard.messages if m.topic.startswith("homeassistant")]
