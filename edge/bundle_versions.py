"""The versions of a bundle: which there are, and going back to one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from edge.bundle import read_files, verified
from edge.bundle_store import (
    SIGNATURE_FILE,
    VERSIONS,
    current_name,
    current_version,
    switch_to,
)
from edge.durable import LEFTOVER, locked
from edge.errors import BundleError
from edge.history import History, read_history

if TYPE_CHECKING:
    from pathlib import Path

State = Literal["current", "on trial", "previous", "kept", "failed", "damaged"]


@dataclass(frozen=True)
class Version:
    """One version on disk."""

    name: str
    bundle_id: str  # empty where it is damaged
    created_utc: str
    state: State
    note: str = ""  # why it failed or is damaged
    signed: bool = False  # whether it came with a signature


def list_versions(path: Path) -> list[Version]:
    """Every version, in the order of their names, which begin with a time.

    Of those that failed and were removed since, why they failed.

    Raises:
        BundleError: there is no bundle.
    """
    folder = current_version(path)
    if folder == path:
        return [_version(path, History(), None)]
    history, current = read_history(path), current_name(path)
    folders = sorted(
        entry for entry in (path / VERSIONS).iterdir() if not entry.name.startswith(LEFTOVER)
    )
    found = [_version(each, history, current) for each in folders]
    gone = history.failed.keys() - {each.name for each in found}
    removed = [
        Version(name, "", "", "failed", f"{history.failed[name]} (removed since)") for name in gone
    ]
    return sorted([*found, *removed], key=lambda version: version.name)


def roll_back(path: Path) -> str:
    """Make the version before the current one current again; returns its name.

    Versions that failed or are damaged are passed over.

    Raises:
        BundleError: there is none to go back to, or the bundle can't be written.
    """
    current_version(path)
    try:
        with locked(path):
            return switch_back(path, read_history(path))
    except OSError as error:
        raise BundleError(f"{path}: can't be rolled back ({error.strerror or error})") from None


def switch_back(path: Path, history: History) -> str:
    """What `roll_back` does, for one who holds the lock.

    Raises:
        BundleError: there is none to go back to.
        OSError: the bundle can't be written.
    """
    if (name := version_before(path, history)) is not None:
        switch_to(path, name)
        return name
    raise BundleError(
        f"{path}: no earlier version that is whole and did not fail. 'earpatch bundles {path}' "
        "lists what there is; 'earpatch calibrate' makes a new one"
    )


def version_before(path: Path, history: History) -> str | None:
    """The version that would be gone back to, whole and not failed; None where there is none."""
    versions = path / VERSIONS
    earlier = (name for name in history.before(current_name(path)) if is_whole(versions / name))
    return next(earlier, None)


def is_whole(folder: Path) -> bool:
    """Whether a version is there, and every byte of it is what its manifest says."""
    try:
        verified(read_files(folder), folder)
    except BundleError:
        return False
    return True


def _version(folder: Path, history: History, current: str | None) -> Version:
    signed = (folder / SIGNATURE_FILE).is_file()
    try:
        manifest = verified(read_files(folder), folder)
    except BundleError as error:
        return Version(folder.name, "", "", "damaged", str(error), signed)
    return Version(
        folder.name,
        manifest.bundle_id,
        manifest.created_utc,
        _state(folder.name, history, current),
        history.failed.get(folder.name, ""),
        signed,
    )


def _state(name: str, history: History, current: str | None) -> State:
    if name in history.failed:
        return "failed"
    if current is None or name == current:
        return "on trial" if name in history.trials else "current"
    return "previous" if [name] == history.before(current)[:1] else "kept"
