"""Packing the current version of a bundle into an archive, and installing one from it.

Nothing of an archive is written before all of it was verified: its form, the signature over the
manifest, every digest, that the numbers make sense, and that this node's runtime makes of the
golden windows what it should. Then it is written whole beside the old version and switched to in
one step, on trial (`edge.trial`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from edge.archive import pack, read_archive, unpack
from edge.bundle import MANIFEST_FILE, load, read_files, verified
from edge.bundle_pruning import prune
from edge.bundle_store import (
    SIGNATURE_FILE,
    VERSIONS,
    current_version,
    holds_bundle,
    write_version,
)
from edge.durable import write_file
from edge.errors import BundleError
from edge.golden import check, refuse_if_different
from edge.signing import SigningError, sign, verify

if TYPE_CHECKING:
    from pathlib import Path

    from edge.golden import GoldenReport
    from edge.runtime import RuntimeName


@dataclass(frozen=True)
class Verified:
    """An archive of which every byte is accounted for."""

    files: dict[str, bytes]
    bundle_id: str
    key: str | None  # the file name of the trusted key that signed it


@dataclass(frozen=True)
class Installed:
    """A new version, on trial."""

    name: str
    bundle_id: str
    key: str | None
    golden: GoldenReport


def pack_bundle(path: Path, target: Path, key_file: Path | None = None) -> str:
    """Write the current version of a bundle as one file; returns its id.

    Without a key, a version that came signed keeps that signature.

    Raises:
        BundleError: the bundle is damaged, or the file can't be written.
        SigningError: the key can't be used.
    """
    folder = current_version(path)
    files = read_files(folder)
    manifest = verified(files, folder)
    if key_file is not None:
        files[SIGNATURE_FILE] = sign(files[MANIFEST_FILE], key_file)
    elif (folder / SIGNATURE_FILE).is_file():
        files[SIGNATURE_FILE] = (folder / SIGNATURE_FILE).read_bytes()
    try:
        write_file(target, pack(files))
    except OSError as error:
        raise BundleError(f"{target}: can't be written ({error.strerror or error})") from None
    return manifest.bundle_id


def verify_archive(archive: bytes, path: Path, trust: Path | None) -> Verified:
    """Everything that can be known of an archive without running anything in it.

    Args:
        archive: its bytes.
        path: what errors call it.
        trust: the folder of trusted keys; None takes unsigned ones, and looks at no signature.

    Raises:
        BundleError: damaged, or its numbers make no sense.
        SigningError: not signed by a trusted key.
    """
    try:
        files, key = unpack(archive), None
        if trust is not None:
            key = _signer(files, trust)
    except (BundleError, SigningError) as error:
        raise type(error)(f"{path}: {error}") from None
    manifest = verified(files, path)
    return Verified(files, manifest.bundle_id, key)


def install(
    path: Path, bundle: Path, trust: Path | None, *, runtime: RuntimeName = "auto"
) -> Installed:
    """Verify an archive, and make what it holds the next version of a bundle, on trial.

    Args:
        path: the archive.
        bundle: where the bundle is or will be.
        trust: the folder of trusted keys; None takes unsigned archives too.
        runtime: the one to check the golden windows with.

    Raises:
        BundleError: the archive is refused, or the bundle can't be written.
        SigningError: not signed by a trusted key.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    archive = verify_archive(read_archive(path), path, trust)
    if holds_bundle(bundle) and _current_id(bundle) == archive.bundle_id:
        raise BundleError(f"{path}: bundle {archive.bundle_id} is the current one in {bundle}")
    golden = check(load(archive.files, path, runtime=runtime))
    refuse_if_different(golden)
    now = datetime.now(timezone.utc)
    name = _free_name(bundle, f"{now:%Y%m%dT%H%M%SZ}-{archive.bundle_id}")
    since = now.isoformat(timespec="seconds")
    write_version(bundle, name, archive.files, trial_since_utc=since)
    prune(bundle)
    return Installed(name, archive.bundle_id, archive.key, golden)


def _signer(files: dict[str, bytes], trust: Path) -> str:
    if SIGNATURE_FILE not in files:
        raise SigningError(
            "not signed. 'earpatch pack --key' signs; --allow-unsigned takes it as it is"
        )
    return verify(files[MANIFEST_FILE], files[SIGNATURE_FILE], trust).path.name


def _current_id(bundle: Path) -> str | None:
    """Of a bundle that is whole; a damaged one may be replaced by itself."""
    try:
        folder = current_version(bundle)
        return verified(read_files(folder), folder).bundle_id
    except BundleError:
        return None


def _free_name(bundle: Path, name: str) -> str:
    """The same bundle may be installed, fail and be installed again within a second."""
    number, free = 1, name
    while (bundle / VERSIONS / free).exists():
        number, free = number + 1, f"{name}-{number + 1}"
    return free
