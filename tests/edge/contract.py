"""Messages against the contract that is shipped: every message in the suite goes through here."""

from functools import cache
from typing import Any

import jsonschema
import msgspec

from edge.delivery.contract import schema

RETAINED = {"health": "Health", "state": "NodeState"}


@cache
def _validator(name: str) -> Any:
    document = {**schema(), "$ref": f"#/$defs/{name}"}
    return jsonschema.Draft202012Validator(
        document, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def check(topic: str, payload: bytes) -> None:
    """Whether what was published on a node's topic is what the contract says; fails if not."""
    *_, before, leaf = ["", *topic.split("/")]
    if leaf == "availability":
        assert payload in {b"online", b"offline"}
        return
    name = {"event": "CloudEvent", "result": "Answer", **RETAINED}.get(leaf)
    assert name, f"no message of the contract goes to {before}/{leaf}"
    _validator(name).validate(msgspec.json.decode(payload))
