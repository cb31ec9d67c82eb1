"""The contract is what is published, and does not change by accident."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest

import edge.delivery
from convert.main import main
from edge.delivery import examples
from edge.delivery.contract import SCHEMA_FILE, asyncapi, schema
from edge.delivery.messages import CloudEvent, describe
from edge.remote import CommandName
from tests.edge.contract import check

SHIPPED = Path(edge.delivery.__file__).parent / "schemas" / SCHEMA_FILE


def test_the_shipped_schema_is_that_of_the_messages() -> None:
    """Change it on purpose: `earpatch contract --schema > FILE`."""
    assert json.loads(SHIPPED.read_text(encoding="utf-8")) == schema()


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("event", examples.events(), ids=lambda event: type(event).__name__)
def test_each_example_of_an_event_is_valid_and_is_read_back_the_same(event: CloudEvent) -> None:
    payload = msgspec.json.encode(event)
    check("site/pump-3/event", payload)
    assert msgspec.json.decode(payload, type=CloudEvent) == event
    assert describe(event)


def test_there_is_an_example_of_every_type() -> None:
    assert [type(event) for event in examples.events()] == list(get_args(CloudEvent))


def test_the_other_examples_are_valid_too() -> None:
    check("site/pump-3/health", msgspec.json.encode(examples.health()))
    check("site/pump-3/state", msgspec.json.encode(examples.state()))
    check("site/pump-3/cmd/result", msgspec.json.encode(examples.answer()))


def test_an_event_has_what_cloudevents_asks_for() -> None:
    """CloudEvents 1.0: required attributes, and names of lower-case letters and digits."""
    for event in examples.events():
        written = json.loads(msgspec.json.encode(event))
        assert {"id", "source", "specversion", "type"} <= set(written)
        assert written["specversion"] == "1.0"
        assert all(re.fullmatch("[a-z0-9]{1,20}", name) for name in written)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", written["time"])


def test_what_the_contract_does_not_allow_is_found() -> None:
    event = json.loads(msgspec.json.encode(examples.events()[0]))
    spoils: list[dict[str, Any]] = [{"id": "17"}, {"type": "earpatch.other"}, {"data": {}}]
    for spoil in spoils:
        with pytest.raises(jsonschema.ValidationError):
            check("a/b/event", json.dumps({**event, **spoil}).encode())
    with pytest.raises(AssertionError):
        check("a/b/elsewhere", b"{}")


def references(document: Any) -> list[str]:
    if isinstance(document, dict):
        own = [document["$ref"]] if isinstance(document.get("$ref"), str) else []
        return own + [found for value in document.values() for found in references(value)]
    if isinstance(document, list):
        return [found for value in document for found in references(value)]
    return []


def test_asyncapi_refers_to_nothing_that_is_not_in_it() -> None:
    document = asyncapi()
    assert document["asyncapi"] == "3.0.0"
    for reference in references(document):
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]
    allowed = document["channels"]["command"]["parameters"]["command"]["enum"]
    assert allowed == list(get_args(CommandName))


@pytest.mark.parametrize("option", [[], ["--schema"]])
def test_the_command_prints_a_document(
    option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["contract", *option]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == (schema() if option else json.loads(json.dumps(asyncapi())))
