"""The line of the test report that says how many of the specification's assertions hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.edge.sparkplug.claims import DEPARTURES, NOT_APPLICABLE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TESTS = "tests/edge/sparkplug/test_assertions.py::test_assertion["


def assertions_line(stats: Mapping[str, Sequence[Any]]) -> str | None:
    """From the reports by their outcome; None where none of them was run."""
    counts = {
        outcome: sum(TESTS in getattr(report, "nodeid", "") for report in stats.get(outcome, ()))
        for outcome in ("passed", "failed", "error")
    }
    run = sum(counts.values())
    if not run:
        return None
    return (
        f"Sparkplug: {counts['passed']} of {run} assertions hold; {len(NOT_APPLICABLE)} say "
        f"nothing about a node, {len(DEPARTURES)} is departed from"
    )
