"""A bundle: backbone, bank, front-end parameters, thresholds and provenance, as one artefact.

On disk it is a folder with `backbone.tflite`, `bank.tflite`, `golden.bin` and `manifest.json`. The
manifest holds the digests of the other three and, through `bundle_id`, its own: nothing is used
unless every byte is what calibration wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.backbone import Backbone
from edge.bank_file import read_bank
from edge.bundle_store import FILES, current_version
from edge.errors import BundleError
from edge.golden_file import GoldenWindows, decode_golden
from edge.manifest import (
    FORMAT,
    BankInfo,
    FileDigest,
    Manifest,
    RecordingProvenance,
    decode_manifest,
    digest,
)
from edge.nearest import Bank

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge.runtime import KernelChoice, RuntimeName

__all__ = ["FORMAT", "BankInfo", "FileDigest", "Manifest", "RecordingProvenance", "digest"]

BACKBONE_FILE, BANK_FILE, GOLDEN_FILE, MANIFEST_FILE = FILES
MAX_FILE_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, ready to score with."""

    manifest: Manifest
    backbone: Backbone
    bank: Bank
    golden: GoldenWindows
    model: bytes


def open_bundle(
    path: Path, *, runtime: RuntimeName = "auto", kernels: KernelChoice | None = None
) -> Bundle:
    """Load the current version of a bundle and verify all of it.

    Args:
        path: where the bundle is.
        runtime: the one to use.
        kernels: those that its thresholds were made with unless told.

    Raises:
        BundleError: missing, incomplete, damaged, or inconsistent.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    folder = current_version(path)
    return load(read_files(folder), folder, runtime=runtime, kernels=kernels)


def read_files(folder: Path) -> dict[str, bytes]:
    """The files of one version of a bundle, by name.

    Raises:
        BundleError: one is missing, or can't be read.
    """
    return {name: _read(folder / name) for name in FILES}


def load(
    files: Mapping[str, bytes],
    where: Path,
    *,
    runtime: RuntimeName = "auto",
    kernels: KernelChoice | None = None,
) -> Bundle:
    """Verify the files of a bundle, and make it ready to score with.

    Raises:
        BundleError: damaged or inconsistent; the text begins with `where`.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    manifest = verified(files, where)
    model = files[BACKBONE_FILE]
    kernels = kernels or manifest.runtime.kernels
    backbone = Backbone(model, manifest.backbone, runtime=runtime, kernels=kernels)
    if (backbone.input, backbone.output) != (manifest.backbone_input, manifest.backbone_output):
        raise BundleError(f"{where}: the backbone's quantisation is not what the manifest says")
    rows = read_bank(files[BANK_FILE])
    if rows.shape != (manifest.bank.rows, manifest.bank.dimension):
        raise BundleError(
            f"{where}: the bank is {list(rows.shape)}, "
            f"the manifest says {[manifest.bank.rows, manifest.bank.dimension]}"
        )
    golden = _golden(files[GOLDEN_FILE], manifest, where / GOLDEN_FILE)
    return Bundle(manifest, backbone, Bank(rows), golden, model)


def verified(files: Mapping[str, bytes], where: Path) -> Manifest:
    """The manifest, once every other file is what it says.

    Raises:
        BundleError: damaged or inconsistent; the text begins with `where`.
    """
    manifest = decode_manifest(files[MANIFEST_FILE], where / MANIFEST_FILE)
    for name in FILES:
        if name == MANIFEST_FILE:
            continue
        found, expected = digest(files[name]), manifest.files[name]
        if found != expected:
            raise BundleError(
                f"{where / name}: does not match the manifest (expected {expected.size_bytes} "
                f"bytes with sha256 {expected.sha256[:12]}..., found {found.size_bytes} with "
                f"{found.sha256[:12]}...). Copy the bundle again or run 'earpatch calibrate'"
            )
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of one version of a bundle.

    Raises:
        BundleError: missing, not a manifest, changed since it was written, or inconsistent.
    """
    return decode_manifest(_read(folder / MANIFEST_FILE), folder / MANIFEST_FILE)


def _golden(data: bytes, manifest: Manifest, path: Path) -> GoldenWindows:
    try:
        golden = decode_golden(data)
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from None
    info = manifest.backbone
    grid = (info.grid_columns, info.grid_rows, info.dimension)
    if golden.shape[1:] != (info.window_frames, info.mel_bands, *grid, manifest.rows):
        raise BundleError(f"{path}: golden windows that don't have the backbone's shape")
    return golden


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise BundleError(
                f"{path}: missing. A bundle is made by 'earpatch calibrate' or 'convert'"
            )
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise BundleError(f"{path}: {size} bytes are more than a bundle's file can have")
        data = path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path}: can't be read ({error.strerror or error})") from None
    if not data:
        raise BundleError(f"{path}: the file is empty (0 bytes). Copy the bundle again")
    return data


def embedding_scale(manifest: Manifest) -> np.float32:
    """What one int8 step of an embedding is worth in distance units."""
    return np.float32(manifest.backbone_output.scale)
