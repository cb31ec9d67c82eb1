"""[sparkplug] in the configuration."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.delivery.settings import MqttSettings
from edge.errors import SettingsError
from edge.settings import load_settings
from edge.sparkplug.settings import SparkplugSettings
from tests.edge.test_settings import EXAMPLE, refusal, write

if TYPE_CHECKING:
    from pathlib import Path

TWO_INPUTS = """\
[node]
id = "n"
[[inputs]]
name = "Pump"
source = { kind = "stdin", rate_hz = 48000 }
bundle = { path = "b" }
[[inputs]]
name = "pump"
source = { kind = "stdin", rate_hz = 48000 }
bundle = { path = "b" }
"""
ON = "[sparkplug]\nenabled = true\n"


def test_it_is_off_unless_switched_on(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, EXAMPLE)).sparkplug.enabled is False


def test_switched_on_it_uses_the_broker_of_mqtt(tmp_path: Path) -> None:
    read = load_settings(write(tmp_path, EXAMPLE + ON))
    (server,) = read.sparkplug.servers(read.mqtt)
    assert server == read.mqtt
    assert read.sparkplug.group == "earpatch"


def test_several_brokers_have_the_user_and_the_certificates_of_mqtt() -> None:
    chosen = SparkplugSettings(brokers=("mqtts://a:8883", "mqtts://b"))
    mqtt = MqttSettings(url="mqtts://c", username="node", ca_file="/ca.pem")
    servers = chosen.servers(mqtt)
    assert [str(server.address) for server in servers] == ["mqtts://a:8883", "mqtts://b:8883"]
    assert {(server.username, server.ca_file) for server in servers} == {("node", "/ca.pem")}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('group = "a/b"', "sparkplug.group"),
        ('group = ""', "sparkplug.group"),
        ('edge_node = "a+b"', "sparkplug.edge_node"),
        ('primary_host = "#"', "sparkplug.primary_host"),
        ('brokers = ["http://a"]', "sparkplug.brokers"),
        ('brokers = ["mqtt://a", "mqtt://a"]', "twice"),
        ("score_deadband = -1", "sparkplug.score_deadband"),
        ('protocol = "3.1"', "sparkplug.protocol"),
        ('grup = "a"', "did you mean 'group'"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, lines: str, said: str) -> None:
    assert said in refusal(write(tmp_path, f"{EXAMPLE}{ON}{lines}\n"))


def test_devices_that_differ_only_in_case_are_refused(tmp_path: Path) -> None:
    """`case-sensitivity-sparkplug-ids`."""
    assert load_settings(write(tmp_path, TWO_INPUTS))
    assert "upper and lower case" in refusal(write(tmp_path, TWO_INPUTS + ON))


@settings(deadline=None)
@given(st.text(max_size=130))
def test_an_id_is_one_level_of_a_topic(text: str) -> None:
    try:
        settings = msgspec.convert({"group": text}, SparkplugSettings)
    except msgspec.ValidationError:
        forbidden = any(c in "+/#\u2028\u2029" or unicodedata.category(c) == "Cc" for c in text)
        assert not text or len(text) > 128 or forbidden
    else:
        assert not set(settings.group) & set("+/#")


def test_no_broker_is_an_error_of_the_caller() -> None:
    with pytest.raises(SettingsError, match=r"sparkplug\.brokers"):
        SparkplugSettings(brokers=("nonsense",)).check(MqttSettings(), ["main"])
