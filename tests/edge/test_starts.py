"""What counts as a start of the node with a version on trial, and who may write."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from edge import bundle_store
from edge import trial as trial_module
from edge.bundle_store import current_name, write_version
from edge.errors import BundleError
from edge.history import read_history
from edge.settings import BundleSettings
from edge.starts import Starts
from edge.trial import MOST_BOOTS, MOST_STARTS
from tests.edge.made import files_of, tiny

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Site

SINCE = "2026-11-25T10:00:00+00:00"


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Path:
    """A good version, and one on trial after it."""
    write_version(tmp_path / "bundle", "v1", files_of(site))
    write_version(tmp_path / "bundle", "v2", files_of(site, "v2"), trial_since_utc=SINCE)
    return tmp_path / "bundle"


def counted(path: Path, version: str = "v2") -> int:
    return read_history(path).trials[version].starts


def test_one_start_of_the_node_counts_once_however_often_it_opens_the_bundle(path: Path) -> None:
    """Several inputs share it, and SIGHUP opens it again."""
    starts, settings = Starts(), BundleSettings(path=str(path))
    for _ in range(3):
        assert starts.open(settings).on_trial
    assert counted(path) == 1
    Starts().open(settings)
    assert counted(path) == 2


def test_another_version_that_is_opened_later_counts(site: Site, path: Path) -> None:
    starts, settings = Starts(), BundleSettings(path=str(path))
    starts.open(settings)
    write_version(path, "v3", files_of(site, "v3"), trial_since_utc=SINCE)
    for _ in range(2):
        assert starts.open(settings).version == "v3"
    assert (counted(path), counted(path, "v3")) == (1, 1)


def test_power_cuts_end_no_trial_but_a_computer_that_ends_fifty_times_does(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I12: the power goes again and again before there is sound enough for a self-test."""
    settings = BundleSettings(path=str(path))
    for number in range(MOST_BOOTS):
        monkeypatch.setattr(trial_module, "boot_id", lambda n=number: f"boot {n}")
        assert Starts().open(settings).on_trial
    monkeypatch.setattr(trial_module, "boot_id", lambda: "one more")
    started = Starts().open(settings)
    assert not started.on_trial
    assert "started in 50 boots without passing its self-test" in started.notes[0]


def test_five_starts_are_all_that_a_version_gets(path: Path) -> None:
    settings = BundleSettings(path=str(path))
    for _ in range(MOST_STARTS):
        assert Starts().open(settings).version == "v2"
    started = Starts().open(settings)
    assert (started.version, started.trial.state) == ("v1", "failed")
    assert f"v2: started {MOST_STARTS} times" in started.trial.note
    assert "Rolled back to v1" in started.notes[0]
    again = Starts().open(settings)
    assert (again.trial, again.notes) == (started.trial, []), "known until another one comes"


def test_who_only_looks_counts_nothing_and_rolls_nothing_back(site: Site, path: Path) -> None:
    settings, starts = BundleSettings(path=str(path)), Starts(only_look=True)
    assert starts.open(settings).on_trial
    assert counted(path) == 0
    write_version(path, "v3", tiny(site, "v3"), trial_since_utc=SINCE)
    with pytest.raises(Exception, match="could load the model"):
        starts.open(settings)
    assert current_name(path) == "v3"


def test_a_folder_that_can_not_be_written_is_one_line_with_what_to_do(
    site: Site, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And a version that is on no trial needs nothing written."""

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(bundle_store, "write_file", refuse)
    settings = BundleSettings(path=str(path))
    with pytest.raises(BundleError, match=r"can't be kept \(Read-only file system\)\. Give the"):
        Starts().open(settings)
    bundle_store.switch_to(path, "v1")
    with caplog.at_level(logging.WARNING):
        assert Starts().open(settings).version == "v1"
    assert caplog.records == []
    del site
