"""Which function checks which assertion, and why some assertions say nothing about a node."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.edge.sparkplug.scenarios import World

    Check = Callable[[World], None]

CHECKS: dict[str, Check] = {}

_HOST = "of host applications; the node only reads what they say"
_SENDER = "of whoever sends a command; the node only reads it"
_UNIQUE = "of a plant's configuration: one node can't see the names of others"
_OPTIONAL = "allows something to hosts; there is nothing that could be broken"


def claims(*ids: str) -> Callable[[Check], Check]:
    """This function checks these assertions."""

    def register(check: Check) -> Check:
        for id_ in ids:
            assert id_ not in CHECKS, f"{id_} is checked twice"
            CHECKS[id_] = check
        return check

    return register


NOT_APPLICABLE: dict[str, str] = {
    "intro-edge-node-id-uniqueness": _UNIQUE,
    "intro-sparkplug-host-state": _HOST,
    "message-flow-hid-sparkplug-state-message-delivered": _HOST,
    "message-flow-phid-sparkplug-clean-session-311": _HOST,
    "message-flow-phid-sparkplug-clean-session-50": _HOST,
    "message-flow-phid-sparkplug-state-publish": _HOST,
    "message-flow-phid-sparkplug-state-publish-payload": _HOST,
    "message-flow-phid-sparkplug-state-publish-payload-timestamp": _HOST,
    "message-flow-phid-sparkplug-subscription": _HOST,
    "operational-behavior-data-commands-dcmd-metric-name": _SENDER,
    "operational-behavior-data-commands-dcmd-metric-value": _SENDER,
    "operational-behavior-data-commands-dcmd-verb": _SENDER,
    "operational-behavior-data-commands-ncmd-metric-name": _SENDER,
    "operational-behavior-data-commands-ncmd-metric-value": _SENDER,
    "operational-behavior-data-commands-ncmd-rebirth-name": _SENDER,
    "operational-behavior-data-commands-ncmd-rebirth-value": _SENDER,
    "operational-behavior-data-commands-ncmd-rebirth-verb": _SENDER,
    "operational-behavior-data-commands-ncmd-verb": _SENDER,
    **{
        f"operational-behavior-edge-node-termination-host-action-{what}": _HOST
        for what in (
            "ddeath-devices-offline", "ddeath-devices-tags-stale", "ndeath-devices-offline",
            "ndeath-devices-tags-stale", "ndeath-node-offline", "ndeath-node-tags-stale",
        )
    },
    **{
        f"operational-behavior-host-application-{what}": _HOST
        for what in (
            "connect-birth", "connect-birth-payload", "connect-birth-qos",
            "connect-birth-retained", "connect-birth-topic", "connect-will",
            "connect-will-payload", "connect-will-qos", "connect-will-retained",
            "connect-will-topic", "death-payload", "death-qos", "death-retained", "death-topic",
            "disconnect-intentional", "host-id", "multi-server-timestamp", "termination",
        )
    },
    **{
        f"operational-behavior-host-reordering-{what}": _HOST
        for what in ("param", "rebirth", "start", "success")
    },
    "operational-behavior-primary-application-state-with-multiple-servers-state": _HOST,
    "operational-behavior-primary-application-state-with-multiple-servers-state-subs": _HOST,
    "payloads-dcmd-qos": _SENDER,
    "payloads-dcmd-retain": _SENDER,
    "payloads-dcmd-seq": _SENDER,
    "payloads-dcmd-timestamp": _SENDER,
    "payloads-ncmd-qos": _SENDER,
    "payloads-ncmd-retain": _SENDER,
    "payloads-ncmd-seq": _SENDER,
    "payloads-ncmd-timestamp": _SENDER,
    "payloads-name-cmd-requirement": _OPTIONAL,
    "payloads-nbirth-edge-node-descriptor": _UNIQUE,
    "topic-structure-namespace-unique-edge-node-descriptor": _UNIQUE,
    "topic-structure-namespace-duplicate-device-id-across-edge-node": _OPTIONAL,
    "topics-dcmd-mqtt": _SENDER,
    "topics-dcmd-payload": _SENDER,
    "topics-dcmd-timestamp": _SENDER,
    "topics-dcmd-topic": _SENDER,
    "topics-ncmd-mqtt": _SENDER,
    "topics-ncmd-payload": _SENDER,
    "topics-ncmd-timestamp": _SENDER,
    "topics-ncmd-topic": _SENDER,
}  # fmt: skip

DEPARTURES: dict[str, str] = {
    "payloads-metric-datatype-not-req": (
        "a SHOULD NOT about the data type in DATA, without which three of three independent "
        "readers read no value; `compact = true` follows it, and that is checked"
    ),
}
