"""Prints every Sparkplug message as mqtt-spb-wrapper reads it, one JSON object a line.

Runs in an environment of its own, which has no earpatch: read_with_mqtt_spb_wrapper.py PORT
"""

import json
import sys
from datetime import datetime
from typing import Any

from mqtt_spb_wrapper.spb_base import SpbPayloadParser
from mqtt_spb_wrapper.spb_protobuf import MetricDataType
from paho.mqtt import client as paho

TYPES = {code: name for name, code in vars(MetricDataType).items() if isinstance(code, int)}


def plain(value: Any) -> Any:
    """A value that JSON can hold; the library gives moments in local time."""
    return round(value.timestamp() * 1000) if isinstance(value, datetime) else value


def read(topic: str, raw: bytes) -> dict[str, Any]:
    """The message as a dictionary."""
    payload = SpbPayloadParser(raw).as_dict()
    metrics = [
        {
            "name": metric.get("name"), "type": TYPES.get(metric.get("datatype")),
            "value": plain(metric.get("value")), "timestamp": int(metric["timestamp"]),
            "historical": metric.get("isHistorical", False),
            "properties": metric.get("properties", {}).get("key_value", {}),
        }
        for metric in payload.get("metrics", [])
    ]  # fmt: skip
    seq = payload.get("seq")
    return {"topic": topic, "seq": None if seq is None else int(seq), "metrics": metrics}


def hear(client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
    """Print a message; the end of all ends this program."""
    if message.topic == "end":
        client.disconnect()
        return
    try:
        found = read(message.topic, message.payload)
    except Exception as error:  # noqa: BLE001  (whatever it is, the test has to know)
        found = {"topic": message.topic, "error": repr(error)}
    print(json.dumps(found), flush=True)


client = paho.Client()
client.on_connect = lambda c, *_: c.subscribe([("spBv1.0/#", 1), ("end", 1)])
client.on_subscribe = lambda *_: print("READY", flush=True)
client.on_message = hear
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
