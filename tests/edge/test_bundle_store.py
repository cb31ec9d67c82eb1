"""Versions on disk: old or new after a power cut at any step, never a mixture, never nothing."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge.bundle_store import (
    CURRENT,
    FILES,
    VERSIONS,
    check_target,
    current_version,
    holds_bundle,
    write_version,
)
from edge.durable import LEFTOVER
from edge.errors import BundleError
from edge.history import HISTORY

Content = dict[str, bytes]

OLD: Content = {name: b"old " + name.encode() for name in FILES}
NEW: Content = {name: b"new " + name.encode() for name in FILES}
STEPS = [(os, "fsync"), (Path, "rename"), (Path, "replace"), (Path, "symlink_to")]
MOST_STEPS = 60


def read(path: Path) -> Content:
    folder = current_version(path)
    return {name: (folder / name).read_bytes() for name in FILES}


def read_links(path: Path) -> Content:
    """What somebody sees who looks for the files at the top of the folder."""
    return {name: (path / name).read_bytes() for name in FILES}


def make_versioned(path: Path) -> Path:
    write_version(path, "v1", OLD)
    return path


def make_plain(path: Path) -> Path:
    path.mkdir()
    for name, data in OLD.items():
        (path / name).write_bytes(data)
    return path


MAKERS = [make_versioned, make_plain]


def before_each_step(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """Run `action` before every call that changes names on the disk or makes them last."""
    for owner, name in STEPS:
        original = getattr(owner, name)

        def step(*args: Any, original: Callable[..., Any] = original, **kwargs: Any) -> Any:
            action()
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, step)


def fail_at(monkeypatch: pytest.MonkeyPatch, number: int, error: BaseException) -> None:
    calls = 0

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == number:
            raise error

    before_each_step(monkeypatch, count)


def interrupted_writes(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Path], error: BaseException
) -> list[Path]:
    """Folders in which the writing of NEW failed at its first, second, third... step."""
    folders = []
    for number in range(1, MOST_STEPS):
        path = make()
        with monkeypatch.context() as patch:
            fail_at(patch, number, error)
            try:
                write_version(path, "v2", NEW)
            except (BundleError, KeyboardInterrupt):
                folders.append(path)
            else:
                assert len(folders) > 5
                return folders
    pytest.fail("writing never ended")


def test_the_first_version_becomes_the_current_one(tmp_path: Path) -> None:
    target = write_version(tmp_path / "bundle", "v1", OLD)
    assert current_version(tmp_path / "bundle") == target == tmp_path / "bundle" / VERSIONS / "v1"
    assert read(tmp_path / "bundle") == read_links(tmp_path / "bundle") == OLD


def test_missing_parent_folders_are_made(tmp_path: Path) -> None:
    write_version(tmp_path / "a" / "b" / "bundle", "v1", OLD)
    assert read(tmp_path / "a" / "b" / "bundle") == OLD


def test_a_new_version_leaves_the_old_one_as_it_was(tmp_path: Path) -> None:
    path = make_versioned(tmp_path / "bundle")
    write_version(path, "v2", NEW)
    assert read(path) == read_links(path) == NEW
    assert {name: (path / VERSIONS / "v1" / name).read_bytes() for name in FILES} == OLD


def test_a_bundle_can_be_moved(tmp_path: Path) -> None:
    make_versioned(tmp_path / "bundle").rename(tmp_path / "moved")
    assert read(tmp_path / "moved") == read_links(tmp_path / "moved") == OLD


def test_going_back_is_one_link(tmp_path: Path) -> None:
    path = make_versioned(tmp_path / "bundle")
    write_version(path, "v2", NEW)
    (path / CURRENT).unlink()
    (path / CURRENT).symlink_to(Path(VERSIONS) / "v1")
    assert read(path) == read_links(path) == OLD


def test_a_version_that_exists_is_never_written_over(tmp_path: Path) -> None:
    path = make_versioned(tmp_path / "bundle")
    with pytest.raises(BundleError, match="can't write the bundle"):
        write_version(path, "v1", NEW)
    assert read(path) == OLD


def test_nothing_but_versions_and_links_is_left_behind(tmp_path: Path) -> None:
    path = make_versioned(tmp_path / "bundle")
    write_version(path, "v2", NEW)
    assert {entry.name for entry in path.iterdir()} == {CURRENT, VERSIONS, HISTORY, *FILES}
    assert {entry.name for entry in (path / VERSIONS).iterdir()} == {"v1", "v2"}


@pytest.mark.parametrize("make", MAKERS)
def test_a_power_cut_before_any_step_leaves_the_old_version_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    """I19: the folder is copied as it is at each step; every copy has to be whole."""
    path = make(tmp_path / "bundle")
    copies: list[Path] = []

    def copy() -> None:
        copies.append(shutil.copytree(path, tmp_path / f"step-{len(copies)}", symlinks=True))

    with monkeypatch.context() as patch:
        before_each_step(patch, copy)
        write_version(path, "v2", NEW)
    seen = [read(copied) for copied in copies]
    assert all(content in (OLD, NEW) for content in seen)
    assert seen[0] == OLD
    assert seen == sorted(seen, key=lambda content: content == NEW)  # never back again


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_at_any_step_leaves_a_whole_version_and_the_next_write_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Callable[[Path], Path],
    error: BaseException,
) -> None:
    """I11: a full disk, or Ctrl-C."""
    numbers = iter(range(MOST_STEPS))
    for path in interrupted_writes(
        monkeypatch, lambda: make(tmp_path / f"bundle-{next(numbers)}"), error
    ):
        assert read(path) in (OLD, NEW)
        write_version(path, "v3", NEW)
        assert read(path) == read_links(path) == NEW


def test_an_error_during_the_very_first_write_can_be_repaired_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11: what an unfinished write left behind is not somebody's other files."""
    numbers = iter(range(MOST_STEPS))
    error = OSError(28, "No space left on device")
    for path in interrupted_writes(
        monkeypatch, lambda: tmp_path / f"bundle-{next(numbers)}", error
    ):
        write_version(path, "v3", NEW)
        assert read(path) == read_links(path) == NEW


def test_a_power_cut_during_the_very_first_write_can_be_repaired_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[Path] = []

    def copy() -> None:
        target = tmp_path / f"step-{len(copies)}"
        copies.append(shutil.copytree(tmp_path / "bundle", target, symlinks=True))

    with monkeypatch.context() as patch:
        before_each_step(patch, copy)
        write_version(tmp_path / "bundle", "v1", OLD)
    for path in copies:
        write_version(path, "v2", NEW)
        assert read(path) == NEW


def test_an_error_is_one_line_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_at(monkeypatch, 1, OSError(28, "No space left on device"))
    with pytest.raises(BundleError, match=r"bundle: can't write the bundle \(No space left"):
        write_version(tmp_path / "bundle", "v1", OLD)


@pytest.mark.parametrize("make", MAKERS)
def test_every_file_of_a_version_is_on_the_disk_before_anything_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    """I23: a power cut soon after a write leaves files that were not synced empty."""
    path = make(tmp_path / "bundle")
    synced: set[int] = set()
    plain_sync, plain_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        synced.add(os.fstat(descriptor).st_ino)
        plain_sync(descriptor)

    def replace(link: Path, target: Path) -> Path:
        for folder in set((path / VERSIONS).glob("[!.]*")) - {path / VERSIONS / "v1"}:
            assert {file.stat().st_ino for file in folder.iterdir()} <= synced
        return plain_replace(link, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        patch.setattr(Path, "replace", replace)
        write_version(path, "v2", NEW)
    assert read(path) == NEW


def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"picture")
    with pytest.raises(BundleError, match="holds other files; choose a new folder"):
        write_version(tmp_path, "v1", OLD)
    assert [entry.name for entry in tmp_path.iterdir()] == ["holiday.jpg"]


def test_a_power_cut_while_the_place_is_tried_does_not_make_it_unfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without nameless files, FAT say, the trial has a name for a moment."""
    monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False)
    path = make_versioned(tmp_path / "bundle")
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda *_: None)  # the cut comes before
        check_target(path)
    assert list(path.glob(f"{LEFTOVER}*"))
    write_version(path, "v2", NEW)
    assert read(path) == NEW
    assert not list(path.glob(f"{LEFTOVER}*"))


def test_a_file_in_place_of_the_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "bundle").write_bytes(b"mine")
    with pytest.raises(BundleError, match="is a file"):
        write_version(tmp_path / "bundle", "v1", OLD)
    assert (tmp_path / "bundle").read_bytes() == b"mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    write_version(tmp_path, "v1", OLD)
    assert read(tmp_path) == OLD


def test_a_plain_folder_becomes_versions_and_its_files_are_kept(tmp_path: Path) -> None:
    path = make_plain(tmp_path / "bundle")
    write_version(path, "v2", NEW)
    assert read(path) == read_links(path) == NEW
    kept = [folder for folder in (path / VERSIONS).iterdir() if folder.name != "v2"]
    assert [{n: (folder / n).read_bytes() for n in FILES} for folder in kept] == [OLD]


def test_a_copy_whose_links_became_files_takes_a_new_version(tmp_path: Path) -> None:
    """`scp -r` and FAT sticks turn links into what they point to."""
    make_versioned(tmp_path / "bundle")
    copy = shutil.copytree(tmp_path / "bundle", tmp_path / "copy", symlinks=False)
    assert read(copy) == OLD
    write_version(copy, "v2", NEW)
    assert read(copy) == read_links(copy) == NEW


def test_a_current_link_to_nowhere_is_named(tmp_path: Path) -> None:
    path = make_versioned(tmp_path / "bundle")
    shutil.rmtree(path / VERSIONS / "v1")
    with pytest.raises(BundleError, match=r"current: points to .*v1, which is not there"):
        current_version(path)
    write_version(path, "v2", NEW)
    assert read(path) == NEW


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: None, "no such bundle"),
        (lambda path: path.write_bytes(b""), "is not a folder"),
        (lambda path: path.mkdir(), "no bundle in this folder"),
    ],
    ids=["missing", "file", "empty"],
)
def test_where_there_is_no_bundle_the_message_says_why(
    tmp_path: Path, make: Callable[[Path], object], reason: str
) -> None:
    make(tmp_path / "bundle")
    assert not holds_bundle(tmp_path / "bundle")
    with pytest.raises(BundleError, match=reason):
        current_version(tmp_path / "bundle")


@pytest.mark.parametrize("name", FILES)
def test_one_file_alone_is_a_bundle_though_not_a_whole_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert holds_bundle(tmp_path)
    assert current_version(tmp_path) == tmp_path
