"""The way to a real broker, stage by stage. F30 is `stage_check`'s own matter."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from edge.delivery.check import Stage
from edge.delivery.settings import broker_address
from edge.doctor.broker import TODO, broker_check, checks, plain_check
from edge.doctor.check import Visit
from edge.settings import load_settings
from tests.conftest import Broker, free_port, run_mosquitto
from tests.edge.doctor.visits import only, put, says, states, visit_to

if TYPE_CHECKING:
    from pathlib import Path

CALL_S = 60.0


def test_a_good_broker_passes_every_stage(tmp_path: Path, broker: Broker) -> None:
    found = states(checks(visit_to(tmp_path, port=broker.port)))
    assert found == {f"broker {name}": "ok" for name in TODO}


def test_a_broker_that_does_not_run_ends_at_tcp(tmp_path: Path) -> None:
    found = list(checks(visit_to(tmp_path, port=free_port())))
    says(only(found, "broker DNS"), "ok")
    says(only(found, "broker TCP"), "failed", "refused", "firewall")
    assert only(found, "broker PUBACK").state == "skipped"


def test_a_wrong_password_ends_at_connect(tmp_path: Path) -> None:
    """F29: refused, not "timed out"; what to correct is named."""
    if shutil.which("mosquitto_passwd") is None:
        pytest.skip("mosquitto_passwd is not installed")
    users = tmp_path / "users"
    command = ["mosquitto_passwd", "-b", "-c", str(users), "node", "right"]
    subprocess.run(command, check=True, timeout=CALL_S, capture_output=True)
    users.chmod(0o644)
    secret = put(tmp_path, "secret", "wrong\n")
    lines = f'username = "node"\npassword_file = "{secret}"'
    with run_mosquitto(tmp_path, free_port(), f"password_file {users}") as broker:
        there = visit_to(tmp_path, port=broker.port, mqtt=lines)
        says(only(checks(there), "broker CONNECT"), "failed", "uthor", "mqtt.username")
        secret.write_text("right\n")
        assert only(checks(there), "broker CONNECT").state == "ok"


def test_an_access_rule_ends_at_puback(tmp_path: Path) -> None:
    rules = put(tmp_path, "rules", "topic read site/#\n")
    rules.chmod(0o644)
    with run_mosquitto(tmp_path, free_port(), f"acl_file {rules}") as broker:
        found = only(checks(visit_to(tmp_path, port=broker.port)), "broker PUBACK")
    says(found, "failed", "earpatch/pump-3/check", "topic_prefix")


def test_a_certificate_of_an_unknown_authority_ends_at_tls(tmp_path: Path) -> None:
    """F32: which authorities were trusted is said. F31's clock has a line of its own."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-nodes", "-days", "2", "-subj", "/CN=127.0.0.1", "-keyout", str(key)]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate)]
    subprocess.run(command, check=True, timeout=CALL_S, capture_output=True)
    key.chmod(0o644)
    port = free_port()
    lines = [f"certfile {certificate}", f"keyfile {key}"]
    with run_mosquitto(tmp_path, port, *lines):
        there = visit_to(tmp_path, port=port)
        config = there.config
        assert config is not None
        text = config.read_text().replace("mqtt://", "mqtts://")
        untrusted = reread(config, text)
        says(only(checks(untrusted), "broker TLS"), "failed", "authorities", "clock")
        trusted = reread(config, f'{text}ca_file = "{certificate}"\n')
        assert set(states(checks(trusted)).values()) == {"ok"}


def reread(config: Path, text: str) -> Visit:
    """With another text in its file."""
    config.write_text(text)
    return Visit(config, settings=load_settings(config))


@pytest.mark.parametrize("stage", list(TODO))
def test_each_stage_has_something_to_do(stage: str) -> None:
    says(broker_check(Stage(stage, ok=False, text="no")), "failed", TODO[stage])


@pytest.mark.parametrize(
    ("url", "state"),
    [
        ("mqtt://127.0.0.1", "ok"),
        ("mqtt://localhost", "ok"),
        ("mqtt://[::1]", "ok"),
        ("mqtt://192.168.1.10", "warning"),
        ("mqtt://localhost.example", "warning"),
    ],
)
def test_without_tls_only_this_computer_is_safe(url: str, state: str) -> None:
    assert plain_check(broker_address(url)).state == state
