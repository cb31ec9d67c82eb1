"""Bundles that differ in what they are called, and tiny ones that only have to be whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from edge.bundle import MANIFEST_FILE, digest, read_files
from edge.bundle_store import FILES, current_version
from edge.golden import nearest_of
from edge.golden_file import GoldenWindows
from edge.manifest import Manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from tests.conftest import Site

    Int8Array = NDArray[np.int8]

Files = dict[str, bytes]


def files_of(site: Site, created_by: str | None = None) -> Files:
    """The files of the site's bundle; under another id where another maker is given."""
    files = read_files(current_version(site.bundle_path))
    return files if created_by is None else with_manifest(files, created_by=created_by)


def with_manifest(files: Files, **changes: object) -> Files:
    """The same files under a manifest that was changed, and is right about the others."""
    manifest = msgspec.structs.replace(
        msgspec.json.decode(files[MANIFEST_FILE], type=Manifest),
        **{"files": {n: digest(d) for n, d in files.items() if n in FILES[:-1]}, **changes},
    )
    return {**files, MANIFEST_FILE: msgspec.json.encode(manifest.with_id())}


def tiny(site: Site, created_by: str) -> Files:
    """Whole by its digests, but nothing that a runtime could load."""
    files = {**files_of(site), **{name: created_by.encode() for name in FILES[:-1]}}
    return with_manifest(files, created_by=created_by)


def id_of(files: Files) -> str:
    """The id in the manifest."""
    return msgspec.json.decode(files[MANIFEST_FILE], type=Manifest).bundle_id


def expecting(bundle: Bundle, embeddings: Int8Array) -> Bundle:
    """A bundle whose calibration found other embeddings for the same windows."""
    squared, nearest = nearest_of(bundle, embeddings)
    golden = GoldenWindows(bundle.golden.inputs, embeddings, squared, nearest)
    return replace(bundle, golden=golden)


def moved(bundle: Bundle, steps: int, share: float) -> Bundle:
    """Some numbers of the expected embeddings a few steps away."""
    random = np.random.default_rng(1)
    wide = bundle.golden.embeddings.astype(np.int16)
    sign = np.where(random.random(wide.shape) < 0.5, -1, 1)
    wide += (random.random(wide.shape) < share) * sign * steps
    return expecting(bundle, np.clip(wide, -128, 127).astype(np.int8))
