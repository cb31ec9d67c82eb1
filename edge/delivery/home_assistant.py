"""Home Assistant's MQTT discovery: one retained message a node, said again when it comes back.

The device-based form (Home Assistant 2024.11 and later): `<discovery prefix>/device/<id>/config`
with all entities of the node. They read the node's own state and health messages.
"""

from __future__ import annotations

import random
import re
import threading
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from edge import __version__
from edge.delivery import topics
from edge.delivery.settings import LEVEL
from edge.section import Section

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edge.delivery.connection import Connection
    from edge.delivery.session import Received

Prefix = Annotated[str, Meta(pattern=rf"^{LEVEL}(/{LEVEL})*\Z", max_length=128)]
HEALTH_EXPIRES_S = 100
LONGEST_DELAY_S = 10.0  # so that many nodes don't all answer at once


class HomeAssistantSettings(Section, frozen=True):
    """[homeassistant]."""

    enabled: bool = False
    discovery_prefix: Prefix = "homeassistant"


class HomeAssistant:
    """Announces a node, now and whenever Home Assistant says that it is online.

    Args:
        settings: whether, and under which prefix.
        connection: over which it is said.
        prefix, node: of the node's topics.
        inputs: names of its inputs.
        later: how the announcement is put off; a timer unless told.
    """

    def __init__(
        self,
        settings: HomeAssistantSettings,
        connection: Connection,
        prefix: str,
        node: str,
        inputs: Sequence[str],
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        if not settings.enabled:
            return
        self._connection, self._later = connection, later or _later
        self._waits = False  # an announcement that was put off
        device = re.sub(r"[^A-Za-z0-9_-]", "_", f"earpatch_{prefix}_{node}")
        self._topic = f"{settings.discovery_prefix}/device/{device}/config"
        self._payload = msgspec.json.encode(discovery(prefix, node, inputs, device))
        self._announce()
        connection.subscribe(f"{settings.discovery_prefix}/status", self._heard)

    def _announce(self) -> None:
        self._waits = False
        self._connection.retain(self._topic, self._payload)

    def _heard(self, message: Received) -> None:
        """Home Assistant has started; it may have lost what was retained."""
        if message.payload == topics.ONLINE and not message.retained and not self._waits:
            self._waits = True  # whoever says so again and again starts no more threads
            self._later(random.uniform(0.0, LONGEST_DELAY_S), self._announce)  # noqa: S311


def discovery(prefix: str, node: str, inputs: Sequence[str], device: str) -> dict[str, Any]:
    """What Home Assistant is told: one device, four entities an input and two of the node."""
    components: dict[str, Any] = {}
    for index, name in enumerate(inputs):
        components |= _of_input(prefix, node, index, name, device)
    health = topics.topic_of(prefix, node, topics.HEALTH)
    components["waiting"] = {
        "platform": "sensor",
        "unique_id": f"{device}_waiting",
        "name": "Events waiting",
        "state_topic": health,
        "value_template": "{{ value_json.events_waiting }}",
        "expire_after": HEALTH_EXPIRES_S,
        "entity_category": "diagnostic",
    }
    components["clock"] = {
        "platform": "binary_sensor",
        "unique_id": f"{device}_clock",
        "name": "Clock wrong",
        "device_class": "problem",
        "state_topic": health,
        "value_template": "{{ 'OFF' if value_json.clock_synced else 'ON' }}",
        "entity_category": "diagnostic",
    }
    return {
        "device": {
            "identifiers": [device],
            "name": node,
            "manufacturer": "earpatch",
            "model": "acoustic anomaly sensor",
            "sw_version": __version__,
        },
        "origin": {"name": "earpatch", "sw_version": __version__},
        "availability_topic": topics.topic_of(prefix, node, topics.AVAILABILITY),
        "components": components,
        "qos": 1,
    }


def _of_input(prefix: str, node: str, index: int, name: str, device: str) -> dict[str, Any]:
    state, health = (topics.topic_of(prefix, node, leaf) for leaf in (topics.STATE, topics.HEALTH))
    alarm = f"value_json.inputs[{index}].alarm"
    heard = f"value_json.inputs[{index}]"
    key = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return {
        f"{key}_alarm": {
            "platform": "binary_sensor",
            "unique_id": f"{device}_{key}_alarm",
            "name": f"{name} sounds wrong",
            "device_class": "problem",
            "state_topic": state,
            "value_template": f"{{{{ 'ON' if {alarm}.active else 'OFF' }}}}",
        },
        f"{key}_state": {
            "platform": "sensor",
            "unique_id": f"{device}_{key}_state",
            "name": f"{name} alarm state",
            "state_topic": state,
            "value_template": f"{{{{ {alarm}.name }}}}",
        },
        f"{key}_input": {
            "platform": "sensor",
            "unique_id": f"{device}_{key}_input",
            "name": f"{name} input",
            "state_topic": health,
            "value_template": f"{{{{ {heard}.state }}}}",
            "expire_after": HEALTH_EXPIRES_S,
            "entity_category": "diagnostic",
        },
        f"{key}_level": {
            "platform": "sensor",
            "unique_id": f"{device}_{key}_level",
            "name": f"{name} level",
            "unit_of_measurement": "dB",
            "state_class": "measurement",
            "state_topic": health,
            "value_template": f"{{{{ {heard}.level_dbfs }}}}",
            "expire_after": HEALTH_EXPIRES_S,
        },
    }


def _later(seconds: float, act: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, act)
    timer.daemon = True
    timer.start()
