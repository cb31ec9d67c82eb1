"""The metrics: their names are promises, so each is in the document."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from edge.delivery import examples
from edge.sparkplug.catalogue import device_definitions, node_definitions
from edge.sparkplug.datatypes import fits
from edge.sparkplug.readings import MISSING, PRESENT, Presence, event_readings, node_readings
from edge.sparkplug.settings import SparkplugSettings
from edge.sparkplug.values import Values
from tests.edge.sparkplug.parts import snapshot

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "sparkplug.md"
DEVICE = {each.name: each for each in device_definitions(SparkplugSettings())}
NODE = {each.name: each for each in node_definitions()}


def test_every_metric_and_every_key_is_in_the_document() -> None:
    told = set(re.findall(r"`([^`\n]+)`", DOCUMENT.read_text(encoding="utf-8")))
    assert {*NODE, *DEVICE, *SparkplugSettings.__struct_fields__} <= told


def test_names_are_unique_and_each_is_told_by_exactly_one_source() -> None:
    assert len(DEVICE) == len(device_definitions(SparkplugSettings()))
    readings = Presence().devices(snapshot())["gearbox"].readings
    found = event_readings(examples.events()[0])
    assert found is not None
    written = {name for name, each in DEVICE.items() if name.startswith("Command/")}
    assert sorted([*readings, *found[1], *written]) == sorted(DEVICE)
    assert set(node_readings(examples.health(), 0)) == set(NODE)


def test_the_example_messages_fit_their_metrics() -> None:
    for name, reading in Presence().devices(snapshot())["gearbox"].readings.items():
        assert fits(DEVICE[name].datatype, reading.value), name
    for event in examples.events():
        found = event_readings(event)
        for name, reading in (found[1] if found else {}).items():
            assert fits(DEVICE[name].datatype, reading.value), name


def test_alarms_and_losses_are_no_events_of_a_device() -> None:
    """They are in the alarm's own metrics, and in the JSON contract."""
    kinds = [event_readings(event) is not None for event in examples.events()]
    assert kinds == [True, True, False, False, False]


@pytest.mark.parametrize("value", [float("-inf"), float("nan"), None])
def test_a_level_that_is_no_number_is_null(value: float | None) -> None:
    given = snapshot()
    inputs = [msgspec.structs.replace(i, level_dbfs=value) for i in given.health.inputs]
    given = given._replace(health=msgspec.structs.replace(given.health, inputs=inputs))
    assert Presence().devices(given)["motor"].readings["Input/Level"].value is None


def test_a_microphone_is_there_or_not_and_in_between_as_before() -> None:
    presence = Presence()

    def present(state: str) -> bool:
        found = presence.devices(snapshot(states={"motor": state}))  # type: ignore[dict-item]
        return found["motor"].present

    assert not present("starting"), "not heard of yet"
    for state in sorted(PRESENT):
        assert present(state)
        assert present("recovering")
    for state in sorted(MISSING):
        assert not present(state)
        assert not present("recovering")
        assert not present("starting")


def test_control_characters_stay_out_of_texts() -> None:
    given = snapshot()
    inputs = [msgspec.structs.replace(i, reason="a\x1b[31mb\nc") for i in given.health.inputs]
    given = given._replace(health=msgspec.structs.replace(given.health, inputs=inputs))
    text = str(Presence().devices(given)["motor"].readings["Input/Reason"].value)
    assert text.isprintable()


def test_the_document_says_how_to_read_the_compatibility_kit() -> None:
    """G07, G08, G09: the kit needs Java, so the recipe is written down, not run."""
    recipe = DOCUMENT.read_text(encoding="utf-8").partition("## The official compatibility kit")[2]
    assert "OVERALL: NOT EXECUTED" in recipe
    assert "multiple-servers-state-subs" in recipe
    for topic in ("TEST_CONTROL", "RESULT", "LOG"):
        assert f"SPARKPLUG_TCK/{topic}" in recipe
    assert "port 1883" in recipe
    assert "Restart the broker" in recipe


def test_counting_what_is_dropped_does_not_push_out_more() -> None:
    values = Values(node_definitions(), every_s=0.0)
    told = 0
    for dropped in range(10_000):
        readings = node_readings(examples.health(), dropped)
        changes = values.update(readings, float(dropped))
        told += sum(change.definition.name == "Delivery/History dropped" for change in changes)
    assert told < 30
