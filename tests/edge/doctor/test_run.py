"""The run of all checks: in order, each in time, and none stops the others."""

from __future__ import annotations

import errno
import json
import sys
import time
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor.check import Check, State, Visit
from edge.doctor.report import NAME_WIDTH, exit_code, json_of, line_of, summary_of
from edge.doctor.run import GROUPS, Group, examine
from tests.edge.doctor.visits import says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATES: list[State] = ["ok", "warning", "failed", "skipped"]
CHECKS = st.builds(Check, st.text(), st.sampled_from(STATES), st.text(), st.text())
SHORT_S, LONG_S = 0.3, 30.0


@pytest.fixture
def group(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Group]:
    """A group of a test's own."""

    def make(
        name: str, checks: object, within_s: float = LONG_S, *, compiled: bool = True
    ) -> Group:
        module = ModuleType(f"checks_{name}")
        module.checks = checks  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        return Group(module.__name__, name, within_s, compiled)

    return make


def fine(_: Visit) -> Iterator[Check]:
    yield Check("fine", "ok", "")


def hangs(_: Visit) -> Iterator[Check]:
    yield Check("before", "ok", "")
    time.sleep(LONG_S)


def fails(_: Visit) -> Iterator[Check]:
    yield Check("before", "ok", "")
    raise ZeroDivisionError("a mistake\nin two lines")


def test_one_that_hangs_is_told_in_time_and_the_next_goes_on(
    group: Callable[..., Group],
) -> None:
    found = list(examine(Visit(None), [group("slow", hangs, SHORT_S), group("next", fine)]))
    assert [(check.name, check.state) for check in found] == [
        ("before", "ok"), ("slow", "failed"), ("fine", "ok")
    ]  # fmt: skip
    assert "no answer within 0.3 s" in found[1].found


def test_one_that_fails_itself_is_one_line_and_the_next_goes_on(
    group: Callable[..., Group],
) -> None:
    found = list(examine(Visit(None), [group("bad", fails), group("next", fine)]))
    assert [check.state for check in found] == ["ok", "failed", "ok"]
    assert found[1].found == "the check itself failed: ZeroDivisionError: a mistake"


def test_what_this_user_may_not_look_at_is_a_matter_for_sudo(
    group: Callable[..., Group],
) -> None:
    """The state folder belongs to the node's user; a technician's account is another."""

    def closed(_: Visit) -> Iterator[Check]:
        raise PermissionError(errno.EACCES, "Permission denied", "/var/lib/earpatch/outbox.sqlite")
        yield

    found = list(examine(Visit(None), [group("closed", closed), group("next", fine)]))
    assert [check.state for check in found] == ["warning", "ok"]
    says(found[0], "warning", "/var/lib/earpatch/outbox.sqlite", "sudo")


def test_one_whose_packages_are_missing_is_one_line_and_the_next_goes_on(
    group: Callable[..., Group],
) -> None:
    absent = Group("edge.doctor.no_such_module", "absent", LONG_S)
    found = list(examine(Visit(None), [absent, group("next", fine)]))
    assert [check.state for check in found] == ["failed", "ok"]
    assert "can't be loaded" in found[0].found


def test_where_packages_kill_a_process_they_are_not_loaded_into_this_one(
    group: Callable[..., Group],
) -> None:
    """H06: doctor itself would die of SIGILL."""
    groups = [group("compiled", fails), group("plain", fine, compiled=False)]
    found = list(examine(Visit(None, loadable=False), groups))
    assert [(c.name, c.state) for c in found] == [("compiled", "skipped"), ("fine", "ok")]


def test_every_group_can_be_loaded_and_has_a_deadline() -> None:
    assert len({group.module for group in GROUPS}) == len(GROUPS)
    for group in GROUPS:
        assert callable(__import__(group.module, fromlist=["checks"]).checks)
        assert 0 < group.within_s <= 600


@given(st.lists(CHECKS))
def test_each_check_is_one_aligned_line_without_control_characters(checks: list[Check]) -> None:
    for check in checks:
        line = line_of(check, coloured=False)
        assert line.isprintable()
        assert line.startswith(check.state)
    assert summary_of(checks).isprintable()


def test_names_and_states_are_aligned() -> None:
    lines = [line_of(Check("disk", state, "FOUND", "do"), coloured=False) for state in STATES]
    assert {line.index("FOUND") for line in lines} == {7 + 1 + NAME_WIDTH + 1}
    assert all(line.endswith("FOUND -> do") for line in lines)


def test_colours_change_nothing_but_colours() -> None:
    plain = line_of(Check("disk", "failed", "full"), coloured=False)
    assert line_of(Check("disk", "failed", "full"), coloured=True) == (
        plain.replace("failed ", "\x1b[31mfailed \x1b[0m", 1)
    )


@given(st.lists(CHECKS))
def test_the_exit_code_is_2_when_something_failed_and_json_says_the_same(
    checks: list[Check],
) -> None:
    failed = any(check.state == "failed" for check in checks)
    told = json.loads(json_of(checks, None))
    assert (exit_code(checks), told["ok"]) == ((2, False) if failed else (0, True))
    assert [Check(**each) for each in told["checks"]] == checks
