"""Versions of a bundle on disk: written whole beside the old one, then switched to in one step.

    bundle/versions/20261125T101500Z-3f9c.../{backbone.tflite,bank.tflite,golden.bin,manifest.json}
    bundle/current -> versions/...            the only thing that a switch changes
    bundle/backbone.tflite -> current/...     and the same for the other files
    bundle/history.json                       see `edge.history`; written before the switch

A power cut leaves the old version or the new one, never a mixture. A folder that holds plain files
(a copied bundle, say) is read as it is, and turned into this layout by the next write.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from edge.durable import LEFTOVER, locked, sync_folder, write_durably, write_file
from edge.errors import BundleError
from edge.history import HISTORY, History, read_history

FILES = ("backbone.tflite", "bank.tflite", "golden.bin", "manifest.json")
CURRENT, VERSIONS = "current", "versions"
SIGNATURE_FILE = "signature.json"  # beside the files of a version that came signed
KEPT = "plain-"  # a bundle that came as plain files, kept as a version


def current_version(path: Path) -> Path:
    """The folder that holds the files of the bundle's current version.

    Raises:
        BundleError: there is no bundle at this path.
    """
    current = path / CURRENT
    if current.is_symlink():
        folder = path / current.readlink()
        if not folder.is_dir():
            raise BundleError(f"{current}: points to {folder}, which is not there")
        return folder
    if not path.is_dir():
        what = "is not a folder" if path.exists() else "no such bundle"
        raise BundleError(f"{path}: {what}. Make one with 'earpatch calibrate {path} --normal DIR'")
    if not any((path / name).exists() for name in FILES):
        raise BundleError(f"{path}: no bundle in this folder (looked for {', '.join(FILES)})")
    return path


def _is_ours(entry: Path) -> bool:
    """What this module writes, an unfinished write's leftovers included."""
    return entry.name in {*FILES, CURRENT, VERSIONS, HISTORY} or entry.name.startswith(LEFTOVER)


def holds_bundle(path: Path) -> bool:
    """Whether there is a bundle, whole or not, at this path."""
    return (path / CURRENT).is_symlink() or any((path / name).exists() for name in FILES)


def current_name(path: Path) -> str | None:
    """The name of the current version; none where there are plain files or nothing."""
    try:
        return (path / CURRENT).readlink().name
    except OSError:  # no link, or none that may be read
        return None


def write_version(
    path: Path, name: str, files: dict[str, bytes], *, trial_since_utc: str | None = None
) -> Path:
    """Write a new version under `versions/<name>` and make it the current one.

    Args:
        path: the bundle.
        name: of the version.
        files: by name.
        trial_since_utc: where the version is on trial, since when.

    Raises:
        BundleError: the path can't be written, or holds something that is not a bundle.
    """
    try:
        check_target(path)
        (path / VERSIONS).mkdir(parents=True, exist_ok=True)
        with locked(path):
            return _write_version(path, name, files, trial_since_utc)
    except OSError as error:
        raise BundleError(f"{path}: can't write the bundle ({error.strerror or error})") from None


def switch_to(path: Path, name: str) -> None:
    """Make a version that is there the current one, in one step.

    Raises:
        OSError: the bundle can't be written.
    """
    _switch(path / CURRENT, Path(VERSIONS) / name)


def write_history(path: Path, history: History) -> None:
    """Replace the bundle's history in one step.

    Raises:
        OSError: the bundle can't be written.
    """
    write_file(path / HISTORY, history.encoded())


def check_target(path: Path) -> None:
    """Refuse a place where no bundle can be written, before hours of work are done for it.

    Raises:
        BundleError: a file, a folder of something else, or no permission.
    """
    try:
        if path.exists() and not path.is_dir():
            raise BundleError(f"{path}: is a file; a bundle is a folder")
        if path.is_dir() and not all(map(_is_ours, path.iterdir())):
            raise BundleError(f"{path}: holds other files; choose a new folder for the bundle")
        existing = next(p for p in (path, *path.absolute().parents) if p.exists())
        with tempfile.TemporaryFile(dir=existing, prefix=LEFTOVER):
            pass
    except OSError as error:
        raise BundleError(f"{path}: can't write the bundle ({error.strerror or error})") from None


def _write_version(
    path: Path, name: str, files: dict[str, bytes], trial_since_utc: str | None
) -> Path:
    versions = path / VERSIONS
    remove_leftovers(path, versions)
    _keep_plain_files(path, versions)
    target = versions / name
    with tempfile.TemporaryDirectory(prefix=LEFTOVER, dir=versions) as scratch:
        staged = Path(scratch) / name
        staged.mkdir()
        for file_name, data in files.items():
            write_durably(staged / file_name, data)
        sync_folder(staged)
        staged.rename(target)
    sync_folder(versions)
    there = [folder.name for folder in versions.iterdir()]
    history = read_history(path).followed_by(name, current_name(path), there, trial_since_utc)
    write_history(path, history)
    switch_to(path, name)
    for file_name in FILES:
        _switch(path / file_name, Path(CURRENT) / file_name)
    sync_folder(path)
    return target


def remove_leftovers(path: Path, versions: Path) -> None:
    """What an earlier write, or the removal of a version, did not live to finish.

    Raises:
        OSError: the bundle can't be written.
    """
    for folder in (path, versions):
        for entry in folder.glob(f"{LEFTOVER}*"):
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)  # another user's is in nobody's way
            else:
                entry.unlink()


def _keep_plain_files(path: Path, versions: Path) -> None:
    """A bundle of plain files becomes a version of its own before anything replaces it.

    A copy that followed the links has a real folder named `current`, with the same files.
    """
    current = path / CURRENT
    if current.is_symlink():
        return
    if current.is_dir():
        shutil.rmtree(current)
    plain = [path / name for name in FILES if (path / name).is_file()]
    if not plain:
        return
    number = sum(1 for _ in versions.glob(f"{KEPT}*"))
    while (kept := versions / f"{KEPT}{number}").exists():  # an earlier one was removed
        number += 1
    kept.mkdir()
    for file in plain:
        write_durably(kept / file.name, file.read_bytes())
    sync_folder(kept)
    sync_folder(versions)
    _switch(current, kept.relative_to(path))


def _switch(link: Path, target: Path) -> None:
    """Make `link` point to `target`, replacing whatever is there in one step."""
    if link.is_symlink() and link.readlink() == target:
        return
    fresh = link.with_name(f"{LEFTOVER}{link.name}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
    sync_folder(link.parent)
