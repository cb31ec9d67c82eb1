"""The specification's assertions, one test each, over packets as they crossed the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.edge.sparkplug import checks_messages, checks_payload, checks_session, checks_topics
from tests.edge.sparkplug.assertion_ids import IDS
from tests.edge.sparkplug.claims import CHECKS, DEPARTURES, NOT_APPLICABLE
from tests.edge.sparkplug.scenarios import build

if TYPE_CHECKING:
    from tests.edge.sparkplug.scenarios import World

ALL_CHECKS = (
    checks_messages,
    checks_payload,
    checks_session,
    checks_topics,
)  # importing them makes the claims


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Every scenario, captured once."""
    return build(tmp_path_factory.mktemp("sparkplug"))


def test_every_assertion_is_checked_or_has_a_reason() -> None:
    assert len(ALL_CHECKS) == 4
    answered = [*CHECKS, *NOT_APPLICABLE, *DEPARTURES]
    assert sorted(answered) == sorted(IDS), "each exactly once"


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_assertion(name: str, world: World) -> None:
    """One test for each assertion, by its name in the specification."""
    CHECKS[name](world)


def test_compact_leaves_the_data_type_out_as_the_specification_would_rather_have_it(
    world: World,
) -> None:
    """`payloads-metric-datatype-not-req`, from which the default departs (G11)."""
    metrics = [
        metric
        for sent in world.compact.sent(*checks_messages.DATA)
        for metric in checks_payload.raw(sent).metrics
    ]
    assert metrics
    assert not any(metric.HasField("datatype") for metric in metrics)
