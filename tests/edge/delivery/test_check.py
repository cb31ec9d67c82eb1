"""The way to the broker, stage by stage: it ends where something is wrong, and says what."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING, Any

import pytest

from edge.delivery.check import Stage, stage_check
from edge.delivery.settings import MqttSettings
from tests.conftest import Broker, free_port, run_mosquitto
from tests.edge.delivery.certificates import Authority
from tests.edge.delivery.test_connection import connecting, secured
from tests.edge.delivery.test_connection import settings as broker_settings
from tests.edge.delivery.test_listen import wait_until

if TYPE_CHECKING:
    from pathlib import Path


def stages(url: str, **changes: Any) -> list[Stage]:
    return stage_check(MqttSettings(url=url, topic_prefix="site", **changes), "pump-3")


def names(found: list[Stage]) -> list[str]:
    return [stage.name if stage.ok else f"not {stage.name}" for stage in found]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_broker_that_takes_messages_passes_every_stage(broker: Broker, protocol: Any) -> None:
    found = stages(broker.url, protocol=protocol)
    assert names(found) == ["DNS", "TCP", "CONNECT", "PUBACK"]
    assert f"MQTT {protocol}" in found[2].text
    assert "site/pump-3/check" in found[3].text


def test_a_node_that_runs_is_not_thrown_out(broker: Broker) -> None:
    """F28."""
    with connecting(broker_settings(broker.port)) as running:
        wait_until(lambda: running.session)
        assert stages(broker.url)[-1].ok
        assert running.session is not None
        assert running.sessions == 1


def test_an_unknown_name_ends_at_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    (stage,) = stages("mqtt://no.such.host")
    assert not stage.ok
    assert "'no.such.host' is not known to DNS" in stage.text


def test_a_resolver_that_does_not_answer_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E12."""
    answer = threading.Event()
    monkeypatch.setattr("edge.delivery.check.RESOLVER_TIMEOUT_S", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answer.wait(10) and [])
    (stage,) = stages("mqtt://slow.example")
    answer.set()
    assert (stage.name, stage.ok) == ("DNS", False)


def test_no_broker_ends_at_tcp() -> None:
    found = stages(f"mqtt://127.0.0.1:{free_port()}")
    assert names(found) == ["DNS", "not TCP"]
    assert "is the broker running there?" in found[-1].text


def test_a_wrong_password_ends_at_connect(tmp_path: Path) -> None:
    port = free_port()
    with run_mosquitto(tmp_path, port, "allow_anonymous false"):
        found = stages(f"mqtt://127.0.0.1:{port}")
        assert names(found) == ["DNS", "TCP", "not CONNECT"]
        assert "Not authorized" in found[-1].text
        found = stages(f"mqtt://127.0.0.1:{port}", username="x", password_file="/no/such/file")  # noqa: S106
        assert names(found) == ["DNS", "TCP", "not CONNECT"]
        assert "/no/such/file" in found[-1].text


def test_a_forbidden_topic_ends_at_puback(tmp_path: Path) -> None:
    """F30. Over MQTT 3.1.1 mosquitto acknowledges what it drops, and the check says so."""
    port, rules = free_port(), tmp_path / "acl"
    rules.write_text("topic read #\n")
    with run_mosquitto(tmp_path, port, f"acl_file {rules}"):
        found = stages(f"mqtt://127.0.0.1:{port}")
        assert names(found) == ["DNS", "TCP", "CONNECT", "not PUBACK"]
        assert "Not authorized" in found[-1].text
        found = stages(f"mqtt://127.0.0.1:{port}", protocol="3.1.1")
        assert "may acknowledge what its rules forbid" in found[-1].text


def test_tls_is_a_stage_of_its_own(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    with secured(tmp_path, authority, authority.sign("broker")) as port:
        url = f"mqtts://127.0.0.1:{port}"
        found = stages(url, ca_file=str(authority.certificate))
        assert names(found) == ["DNS", "TCP", "TLS", "CONNECT", "PUBACK"]
        found = stages(url)
        assert names(found) == ["DNS", "TCP", "not TLS"]
        assert "not signed by the system's authorities" in found[-1].text
        found = stages(url, ca_file="/no/such/file")
        assert names(found) == ["DNS", "TCP", "not TLS"]
