"""Prints every Sparkplug message as pysparkplug reads it, one JSON object a line.

Runs in an environment of its own, which has no earpatch: read_with_pysparkplug.py PORT
"""

import json
import sys
from datetime import datetime, timezone
from typing import Any

import pysparkplug as spb
from paho.mqtt import client as paho

PAYLOADS = {
    "NBIRTH": spb.NBirth, "DBIRTH": spb.DBirth, "NDATA": spb.NData, "DDATA": spb.DData,
    "NDEATH": spb.NDeath, "DDEATH": spb.DDeath,
}  # fmt: skip
births = {}


def plain(value: Any) -> Any:
    """A value that JSON can hold."""
    if isinstance(value, datetime):
        aware = value if value.tzinfo else value.replace(tzinfo=timezone.utc)
        return round(aware.timestamp() * 1000)
    return value


def read(topic: str, raw: bytes) -> dict[str, Any]:
    """The message as a dictionary."""
    levels = topic.split("/")
    kind, device = levels[2], levels[4] if len(levels) > 4 else None
    payload = PAYLOADS[kind].decode(raw, birth=births.get(device))
    if kind.endswith("BIRTH"):
        births[device] = payload
    death = [payload.bd_seq_metric] if kind == "NDEATH" else []
    metrics = [
        {
            "name": metric.name, "type": metric.datatype.name, "value": plain(metric.value),
            "timestamp": metric.timestamp, "historical": metric.is_historical,
        }
        for metric in getattr(payload, "metrics", death)
    ]  # fmt: skip
    return {"topic": topic, "seq": getattr(payload, "seq", None), "metrics": metrics}


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
