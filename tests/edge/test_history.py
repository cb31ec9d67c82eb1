"""A bundle's history: order, trials and failures, read in the light of where `current` points."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.history import HISTORY, MAX_BYTES, History, read_history

NAMES = st.sampled_from(["a", "b", "c", "d", "e"])
ALL = {"a", "b", "c", "d", "e", "new"}


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Whatever a disk might hold."""
    history = History(
        order=draw(st.lists(NAMES, max_size=6)),
        passed=draw(st.lists(NAMES, max_size=2)),
        failed=draw(st.dictionaries(NAMES, st.text(max_size=5), max_size=2)),
    )
    if draw(st.booleans()):
        history = history.followed_by(draw(NAMES), draw(NAMES), ALL, "2026-11-25T10:00:00+00:00")
    return history


@given(history=histories())
def test_what_is_kept_is_read(tmp_path_factory: pytest.TempPathFactory, history: History) -> None:
    folder = tmp_path_factory.getbasetemp() / "history"
    folder.mkdir(exist_ok=True)
    (folder / HISTORY).write_bytes(history.encoded())
    assert read_history(folder) == history


@given(history=histories(), current=st.none() | NAMES)
def test_a_new_version_comes_after_the_one_that_was_current(
    history: History, current: str | None
) -> None:
    followed = history.followed_by("new", current, ALL, None)
    assert followed.order[-1] == "new"
    if current is not None and current not in history.failed:
        assert followed.before("new")[0] == current
    assert "new" not in followed.trials


@given(history=histories(), current=st.none() | NAMES)
def test_what_was_written_before_a_switch_that_never_came_changes_nothing(
    history: History, current: str | None
) -> None:
    """A power cut between the history and the switch: `current` still points to the old version."""
    followed = history.followed_by("new", current, ALL, "2026-11-25T10:00:00+00:00")
    if current in history.order:
        assert followed.before(current) == history.before(current)
    else:
        assert followed.before(current) == []
    assert followed.trials.get(str(current)) == history.trials.get(str(current))
    assert followed.failed == history.failed


@given(history=histories(), current=NAMES)
def test_a_version_that_failed_is_never_gone_back_to(history: History, current: str) -> None:
    for name in history.before(current):
        assert name not in history.failed
    failed = history.with_failure(current, "it was deaf")
    assert current not in failed.before("e")
    assert current not in failed.trials


@given(history=histories(), current=NAMES)
def test_versions_that_are_gone_from_the_disk_are_forgotten(history: History, current: str) -> None:
    followed = history.followed_by("new", current, {"a", "new"}, None)
    assert set(followed.order) | set(followed.trials) | set(followed.passed) <= {"a", "new"}
    assert followed.failed == history.failed, "but why they failed is not"


def test_what_a_version_was_left_for_is_known_until_another_one_comes() -> None:
    since = "2026-11-25T10:00:00+00:00"
    history = History(order=["a"]).followed_by("b", "a", {"a", "b"}, since)
    assert history.status_of("b") == ("on trial", "")
    left = history.with_failure("b", "deaf")
    assert left.status_of("b") == ("failed", "b: deaf")
    assert left.status_of("a") == ("failed", "b: deaf")
    assert left.followed_by("c", "a", {"a", "b", "c"}, None).status_of("c") == ("none", "")
    assert history.with_pass("b").status_of("b") == ("passed", "")
    assert history.with_pass("b").status_of("a") == ("none", "")


def test_the_order_after_going_back_and_installing_again_leaves_out_what_was_left() -> None:
    history = History(order=["a", "b", "c"])
    assert history.before("c") == ["b", "a"]
    assert history.before("b") == ["a"]  # gone back to b
    assert history.followed_by("d", "b", {"a", "b", "c", "d"}, None).order == ["a", "b", "d"]


def test_starts_are_counted_anew_in_each_boot_and_missed_tests_are_not() -> None:
    history = History(order=["old"]).followed_by(
        "new", "old", {"old", "new"}, "2026-11-25T10:00:00"
    )
    for boot_id in ("a", "a", "b"):
        history = history.with_start("new", boot_id).with_missed_test("new")
    trial = history.trials["new"]
    assert (trial.boots, trial.starts, trial.tests) == (2, 1, 3)


def test_starts_and_missed_tests_of_a_trial_are_counted() -> None:
    history = History().followed_by("new", None, {"new"}, "2026-11-25T10:00:00+00:00")
    trial = (
        history.with_start("new", "a").with_start("new", "a").with_missed_test("new").trials["new"]
    )
    assert (trial.boots, trial.starts, trial.tests) == (1, 2, 1)
    assert history.with_pass("new").trials == {}


def test_a_trial_goes_on_where_the_next_version_is_left() -> None:
    """Two installed one after the other: the first one was never judged."""
    since = "2026-11-25T10:00:00+00:00"
    one = History(order=["a"]).followed_by("b", "a", {"a", "b"}, since).with_start("b", "boot")
    two = one.followed_by("c", "b", {"a", "b", "c"}, since).with_failure("c", "deaf")
    assert two.before("c") == ["b", "a"]
    assert two.trials["b"].starts == 1


@settings(max_examples=300)
@given(st.binary(max_size=200))
def test_a_damaged_history_is_a_new_one(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """I14: every version carries its own digests; a node starts without a history."""
    folder = tmp_path_factory.getbasetemp() / "damaged-history"
    folder.mkdir(exist_ok=True)
    (folder / HISTORY).write_bytes(data)
    assert read_history(folder) == History()


def test_a_huge_history_a_folder_and_none_are_new_ones(tmp_path: Path) -> None:
    assert read_history(tmp_path) == History()
    (tmp_path / HISTORY).touch()
    os.truncate(tmp_path / HISTORY, 4 * MAX_BYTES)
    assert read_history(tmp_path) == History()
    (tmp_path / HISTORY).unlink()
    (tmp_path / HISTORY).mkdir()
    assert read_history(tmp_path) == History()
