"""`earpatch contract`: what a subscriber may rely on, for a program: JSON Schema and AsyncAPI 3."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from edge import __version__
from edge.delivery import examples, topics
from edge.delivery.messages import CloudEvent
from edge.delivery.status import Health, NodeState
from edge.remote import FORMS, Answer, Command, CommandName

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "earpatch-1.schema.json"
_REF = "#/$defs/{name}"


def schema() -> dict[str, Any]:
    """One document with every message under `$defs`; JSON Schema 2020-12."""
    kinds: list[Any] = [CloudEvent, Health, NodeState, Answer, Command, *FORMS.values()]
    _, definitions = msgspec.json.schema_components(kinds, ref_template=_REF)
    return {
        "$schema": DIALECT,
        "$id": "urn:earpatch:schema:1",
        "title": "earpatch messages",
        "$defs": {
            "CloudEvent": {"oneOf": [_ref(kind.__name__) for kind in get_args(CloudEvent)]},
            **definitions,
        },
    }


def asyncapi() -> dict[str, Any]:
    """The topics and their messages: AsyncAPI 3.0.0."""
    definitions = schema()["$defs"]
    messages = {name: _message(name, given) for name, given in _messages().items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "earpatch node",
            "version": __version__,
            "description": "Topics are <prefix>/<node>/<leaf>; the prefix may have several levels.",
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, *given) for name, given in _CHANNELS.items()},
        "operations": {
            name: {"action": given[1], "channel": {"$ref": f"#/channels/{name}"}}
            for name, given in _CHANNELS.items()
        },
        "components": {
            "messages": messages,
            "schemas": msgspec.json.decode(
                msgspec.json.encode(definitions).replace(b"#/$defs/", b"#/components/schemas/")
            ),
        },
    }


# channel: topic's last levels, action of the node, messages, QoS and retained
_CHANNELS: dict[str, tuple[str, str, list[str], str]] = {
    "event": (topics.EVENT, "send", [k.__name__ for k in get_args(CloudEvent)], "QoS 1"),
    "state": (topics.STATE, "send", ["NodeState"], "QoS 1, retained"),
    "health": (topics.HEALTH, "send", ["Health"], "QoS 1, retained, expires (MQTT 5)"),
    "availability": (topics.AVAILABILITY, "send", ["Availability"], "QoS 1, retained, and will"),
    "command": (f"{topics.COMMAND}/{{command}}", "receive", ["Command"], "QoS 1"),
    "result": (topics.RESULT, "send", ["Answer"], "QoS 1"),
}


def _channel(name: str, leaf: str, _action: str, messages: list[str], how: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {"prefix": {}, "node": {}}
    if name == "command":
        parameters["command"] = {"enum": list(get_args(CommandName))}
    return {
        "address": f"{{prefix}}/{{node}}/{leaf}",
        "description": how,
        "parameters": parameters,
        "messages": {each: {"$ref": f"#/components/messages/{each}"} for each in messages},
    }


def _messages() -> dict[str, list[Any]]:
    """Examples by the name of their message."""
    found = {type(event).__name__: [event] for event in examples.events()}
    return {
        **found,
        "Health": [examples.health()],
        "NodeState": [examples.state()],
        "Answer": [examples.answer()],
        "Command": list(examples.commands().values()),
        "Availability": [topics.ONLINE.decode(), topics.OFFLINE.decode()],
    }


def _message(name: str, given: list[Any]) -> dict[str, Any]:
    payload: dict[str, Any] = {"$ref": f"#/components/schemas/{name}"}
    if name == "Availability":
        payload = {"type": "string", "enum": given}
    if name == "Command":
        forms = ["Command", *(form.__name__ for form in FORMS.values())]
        payload = {"anyOf": [{"$ref": f"#/components/schemas/{form}"} for form in forms]}
    return {
        "name": name,
        "contentType": "text/plain" if name == "Availability" else "application/json",
        "payload": payload,
        "examples": [{"payload": msgspec.to_builtins(each)} for each in given],
    }


def _ref(name: str) -> dict[str, str]:
    return {"$ref": _REF.format(name=name)}
