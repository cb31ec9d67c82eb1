"""Old versions go, and never one that may be needed; a power cut in between does no harm."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bundle_pruning import KEPT_GOOD, prune, staying
from edge.bundle_store import VERSIONS, current_name, write_history, write_version
from edge.bundle_versions import list_versions, roll_back
from edge.durable import LEFTOVER
from edge.history import MOST_FAILURES, History, OnTrial, read_history
from tests.edge.made import files_of, tiny

if TYPE_CHECKING:
    from tests.conftest import Site

SINCE = "2026-11-25T10:00:00+00:00"
NAMES = [f"v{number:02d}" for number in range(14)]


def written(path: Path, names: list[str], site: Site) -> Path:
    for name in names:
        write_version(path, name, tiny(site, name))
    return path


def on_disk(path: Path) -> list[str]:
    return sorted(each.name for each in (path / VERSIONS).iterdir())


@st.composite
def lives(draw: st.DrawFn) -> tuple[History, str, set[str], set[str]]:
    """A history, the current version, what is on disk, and what of that is whole."""
    there = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    current = draw(st.sampled_from(sorted(there)))
    order = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=len(NAMES)))
    history = History(
        order=order if draw(st.booleans()) or current in order else [*order, current],
        trials={name: OnTrial(SINCE) for name in draw(st.sets(st.sampled_from(NAMES), max_size=3))},
        failed=dict.fromkeys(draw(st.sets(st.sampled_from(NAMES), max_size=6)), "deaf"),
    )
    whole = draw(st.sets(st.sampled_from(sorted(there))))
    return history, current, there, whole


@given(lives())
def test_what_may_be_needed_stays_and_the_rest_is_bounded(
    life: tuple[History, str, set[str], set[str]],
) -> None:
    history, current, there, whole = life
    stay = staying(history, current, there, whole.__contains__)
    assert stay <= there
    assert current in stay
    assert history.trials.keys() & there <= stay
    targets = [name for name in history.before(current) if name in there]
    assert set(targets[:1]) <= stay, "where a roll-back goes"
    assert set([name for name in targets if name in whole][:1]) <= stay, "or goes if need be"
    assert not stay & history.failed.keys() - {current} - history.trials.keys()
    assert len(stay - {current} - history.trials.keys()) <= KEPT_GOOD + 1


@given(lives())
def test_pruning_again_removes_nothing_more(
    life: tuple[History, str, set[str], set[str]],
) -> None:
    history, current, there, whole = life
    stay = staying(history, current, there, whole.__contains__)
    assert staying(history, current, stay, whole.__contains__) == stay


def test_the_last_few_can_be_gone_back_to(site: Site, tmp_path: Path) -> None:
    path = written(tmp_path / "bundle", NAMES[:9], site)
    assert sorted(prune(path)) == NAMES[: 8 - KEPT_GOOD]
    assert on_disk(path) == NAMES[8 - KEPT_GOOD : 9]
    for name in reversed(NAMES[8 - KEPT_GOOD : 8]):
        assert roll_back(path) == name


def test_of_versions_that_failed_the_reasons_stay(site: Site, tmp_path: Path) -> None:
    path = written(tmp_path / "bundle", ["v1", "v2"], site)
    write_history(path, read_history(path).with_failure("v2", "it was deaf"))
    roll_back(path)
    write_version(path, "v3", tiny(site, "v3"))
    assert prune(path) == ["v2"]
    told = {each.name: (each.state, each.note) for each in list_versions(path)}
    assert told["v2"] == ("failed", "it was deaf (removed since)")
    written(path, ["v4"], site)
    assert {each.name: each.state for each in list_versions(path)} == {
        "v1": "kept", "v2": "failed", "v3": "previous", "v4": "current",
    }  # fmt: skip


def test_of_very_many_failures_the_last_are_remembered() -> None:
    failed = {f"f{number}": "deaf" for number in range(3 * MOST_FAILURES)}
    followed = History(failed=failed).followed_by("new", None, {"f0", "new"}, None)
    assert list(followed.failed) == ["f0", *list(failed)[-MOST_FAILURES:]]


def test_a_plain_folder_s_name_is_not_taken_twice(site: Site, tmp_path: Path) -> None:
    """Two copies without links were replaced, and the first of them was removed."""
    path = written(tmp_path / "bundle", ["v1"], site)
    for number in range(3):
        (path / "current").unlink()
        for name, data in files_of(site, str(number)).items():
            (path / name).unlink()
            (path / name).write_bytes(data)
        if number == 2:
            shutil.rmtree(path / VERSIONS / "plain-0")
        written(path, [f"w{number}"], site)
    assert {"plain-1", "plain-2"} <= set(on_disk(path))


class _PowerCut(BaseException):
    """Nothing catches it."""


@pytest.mark.parametrize("owner", [(Path, "rename"), (shutil, "rmtree")])
@pytest.mark.parametrize("number", [1, 2])
def test_after_a_power_cut_each_version_is_whole_or_gone_and_the_next_write_tidies_up(
    site: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: tuple[object, str],
    number: int,
) -> None:
    path, calls = written(tmp_path / "bundle", NAMES[:9], site), 0
    whole = {name: len(list((path / VERSIONS / name).iterdir())) for name in on_disk(path)}
    original = getattr(*owner)

    def step(*arguments: object, **more: object) -> object:
        nonlocal calls
        calls += 1
        if calls == number:
            raise _PowerCut
        return original(*arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(*owner, step)
        with pytest.raises(_PowerCut):
            prune(path)
    for name in on_disk(path):
        if not name.startswith(LEFTOVER):
            assert len(list((path / VERSIONS / name).iterdir())) == whole[name]
    assert current_name(path) == NAMES[8]
    written(path, [NAMES[9]], site)
    prune(path)
    assert on_disk(path) == NAMES[9 - KEPT_GOOD : 10]


def test_what_can_not_be_removed_is_one_line_and_no_error(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "bundle", NAMES[:9], site)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(Path, "rename", refuse)
        assert prune(path) == []
    assert [record.message for record in caplog.records] == [
        f"{path}: old versions can't be removed: [Errno 13] Permission denied"
    ]
    assert on_disk(path) == NAMES[:9]
