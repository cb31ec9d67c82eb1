"""Listing versions, and going back."""

from __future__ import annotations

import multiprocessing
import os
from typing import TYPE_CHECKING

import pytest

from edge import durable
from edge.bundle import MANIFEST_FILE
from edge.bundle_store import VERSIONS, current_name, current_version, write_history, write_version
from edge.bundle_versions import list_versions, roll_back
from edge.durable import locked
from edge.errors import BundleError
from edge.history import HISTORY, read_history
from tests.edge.made import files_of, id_of, tiny

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Site

SINCE = "2026-11-25T10:00:00+00:00"


@pytest.fixture
def path(site: Site, tmp_path: Path) -> Path:
    """Three versions, v3 current."""
    for name in ("v1", "v2", "v3"):
        write_version(tmp_path / "bundle", name, tiny(site, name))
    return tmp_path / "bundle"


def states(path: Path) -> dict[str, str]:
    return {version.name: version.state for version in list_versions(path)}


def test_every_version_is_listed_with_what_it_is(site: Site, path: Path) -> None:
    assert states(path) == {"v1": "kept", "v2": "previous", "v3": "current"}
    write_version(path, "v4", tiny(site, "v4"), trial_since_utc=SINCE)
    assert states(path) == {"v1": "kept", "v2": "kept", "v3": "previous", "v4": "on trial"}
    listed = list_versions(path)[-1]
    assert (listed.bundle_id, listed.signed) == (id_of(tiny(site, "v4")), False)
    assert listed.created_utc == site.open().manifest.created_utc


def test_going_back_is_to_the_version_before_and_then_to_the_one_before_that(path: Path) -> None:
    assert roll_back(path) == "v2"
    assert states(path) == {"v1": "previous", "v2": "current", "v3": "kept"}
    assert roll_back(path) == "v1"
    with pytest.raises(BundleError, match="no earlier version that is whole and did not fail"):
        roll_back(path)
    assert current_name(path) == "v1"


def test_a_new_version_after_going_back_comes_after_the_one_gone_back_to(
    site: Site, path: Path
) -> None:
    roll_back(path)
    write_version(path, "v4", tiny(site, "v4"))
    assert roll_back(path) == "v2"


def test_a_damaged_version_is_passed_over_and_named(path: Path) -> None:
    (path / VERSIONS / "v2" / "bank.tflite").write_bytes(b"worn out")
    assert states(path)["v2"] == "damaged"
    assert "does not match the manifest" in list_versions(path)[1].note
    assert roll_back(path) == "v1"


def test_a_version_that_failed_is_passed_over(path: Path) -> None:
    write_history(path, read_history(path).with_failure("v2", "deaf"))
    assert states(path)["v2"] == "failed"
    assert roll_back(path) == "v1"


def test_a_version_that_is_gone_is_passed_over(path: Path) -> None:
    (path / VERSIONS / "v2" / MANIFEST_FILE).unlink()
    assert roll_back(path) == "v1"


def test_without_its_history_a_bundle_is_listed_and_can_not_go_back(path: Path) -> None:
    (path / HISTORY).unlink()
    assert states(path) == {"v1": "kept", "v2": "kept", "v3": "current"}
    with pytest.raises(BundleError, match="no earlier version"):
        roll_back(path)


def test_a_plain_folder_is_one_version(site: Site, tmp_path: Path) -> None:
    for name, data in files_of(site).items():
        (tmp_path / name).write_bytes(data)
    (version,) = list_versions(tmp_path)
    assert version.state == "current"
    with pytest.raises(BundleError, match="no earlier version"):
        roll_back(tmp_path)


def test_a_plain_folder_that_was_replaced_can_be_gone_back_to(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "bundle"
    path.mkdir()
    for name, data in files_of(site).items():
        (path / name).write_bytes(data)
    write_version(path, "v2", tiny(site, "v2"))
    assert roll_back(path) == "plain-0"
    assert current_version(path).name == "plain-0"


def test_a_folder_without_a_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such bundle"):
        list_versions(tmp_path / "bundle")
    with pytest.raises(BundleError, match="no such bundle"):
        roll_back(tmp_path / "bundle")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_bundle_that_may_not_be_written_is_one_line(path: Path) -> None:
    path.chmod(0o555)
    with pytest.raises(BundleError, match="can't be rolled back"):
        roll_back(path)


def _hold(path: Path, held: multiprocessing.synchronize.Event) -> None:
    with locked(path):
        held.set()
        held.wait(60)
        multiprocessing.Event().wait(60)


def test_who_changes_a_bundle_waits_for_the_other_and_not_for_ever(
    site: Site, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed process holds no lock."""
    context = multiprocessing.get_context("fork")
    held = context.Event()
    other = context.Process(target=_hold, args=(path, held))
    other.start()
    try:
        assert held.wait(30)
        monkeypatch.setattr(durable, "LOCK_S", 0.2)
        with pytest.raises(BundleError, match="another earpatch is changing this bundle"):
            roll_back(path)
        with pytest.raises(BundleError, match="another earpatch is changing this bundle"):
            write_version(path, "v4", tiny(site, "v4"))
    finally:
        other.kill()
        other.join(30)
    assert roll_back(path) == "v2"
