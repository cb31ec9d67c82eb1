"""The way to the broker, stage by stage (F29-F32); a running node isn't disturbed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.delivery.check import stage_check
from edge.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.delivery.check import Stage
    from edge.delivery.settings import BrokerAddress
    from edge.doctor.check import Visit

TODO = {
    "DNS": "correct mqtt.url, or this computer's name server (resolvectl status)",
    "TCP": "start the broker, correct the port in mqtt.url, or look into the firewalls between",
    "TLS": "see the clock's line above; else mqtt.ca_file, or the broker's certificate",
    "CONNECT": "correct mqtt.username and its password; let the broker accept this client",
    "PUBACK": "let the broker's access rules allow it below mqtt.topic_prefix",
}


def checks(visit: Visit) -> Iterator[Check]:
    """One for each stage; those after the one that failed are skipped."""
    if visit.settings is None:
        yield Check("broker", "skipped", "no configuration")
        return
    settings = visit.settings.mqtt
    stages = {stage.name: stage for stage in stage_check(settings, visit.settings.node.id)}
    for name in TODO:
        if name in stages:
            yield broker_check(stages[name])
        elif name == "TLS" and not settings.address.tls:
            yield plain_check(settings.address)
        else:
            yield Check(f"broker {name}", "skipped", "the stage before failed")


def plain_check(address: BrokerAddress) -> Check:
    """No TLS: only on this computer is nobody on the way."""
    if address.host == "localhost" or address.host.startswith("127.") or address.host == "::1":
        return Check("broker TLS", "ok", "none, and the broker is on this computer")
    text = "none: events and the password can be read on the way"
    return Check("broker TLS", "warning", text, "write mqtts:// in mqtt.url")


def broker_check(stage: Stage) -> Check:
    """One stage."""
    name = f"broker {stage.name}"
    if stage.ok:
        return Check(name, "ok", stage.text)
    return Check(name, "failed", stage.text, TODO.get(stage.name, ""))
