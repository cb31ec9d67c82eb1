"""A bundle: backbone, bank, front-end parameters, thresholds and provenance, as one artefact.

On disk it is a folder with `backbone.tflite`, `bank.tflite` and `manifest.json`. The manifest
holds the digests of the other two and, through `bundle_id`, its own: nothing is used unless every
byte is what calibration wrote.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import numpy as np

from edge.backbone import Backbone, BackboneInfo, Quantisation
from edge.bank_file import read_bank
from edge.bundle_store import FILES, current_version
from edge.errors import BundleError
from edge.evidence import Thresholds
from edge.frontend import FrontEnd
from edge.manifest_checks import inconsistencies
from edge.nearest import Bank
from edge.runtime import RuntimeInfo, RuntimeName

if TYPE_CHECKING:
    from pathlib import Path


FORMAT: Final = "earpatch-bundle-2"
BACKBONE_FILE, BANK_FILE, MANIFEST_FILE = FILES
MAX_FILE_BYTES = 64 * 2**20
ID_LENGTH = 16


class FileDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file of the bundle must be."""

    sha256: str
    size_bytes: int


class BankInfo(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the bank was chosen."""

    rows: int
    dimension: int
    max_rows: int
    max_bytes: int
    chosen_from_cells: int
    cover_radius: float  # in distance units; see StreamingCoreset.finish
    origin_recording: list[int]  # by bank row: which of the recordings it was heard in
    origin_s: list[float]  # by bank row: when in it


class RecordingProvenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One recording of normal sound that the bundle was made from."""

    path: str
    sha256: str
    rate_hz: int
    channels: int
    duration_s: float
    level_dbfs: float
    modified_utc: str
    lesson: int  # operating states are taught one after another


class Manifest(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True
):
    """Everything about a bundle but its tensors."""

    format: Literal["earpatch-bundle-2"]
    bundle_id: str
    previous_id: str | None  # the version that this one replaced
    created_utc: str
    created_by: str
    backbone: BackboneInfo
    backbone_input: Quantisation
    backbone_output: Quantisation
    reference_level_dbfs: float  # where calibration's gain puts the level of normal sound
    front_end: FrontEnd
    limit_hz: float  # the lowest Nyquist frequency among the recordings
    rows: int  # map rows, from the lowest, that calibration heard
    bank: BankInfo
    thresholds: Thresholds
    bands_db: list[float]  # the level that is normal in each mel band of those rows
    runtime: RuntimeInfo
    recordings: list[RecordingProvenance]
    microphone: str = ""  # the identity of the one that recorded them, where that is known
    files: dict[str, FileDigest]

    @property
    def calibration_id(self) -> str:
        """Of what was learnt: two bundles that share it judge alike."""
        learnt = (self.front_end, self.thresholds, self.bands_db, self.files)
        return hashlib.sha256(msgspec.json.encode(learnt, order="sorted")).hexdigest()[:ID_LENGTH]

    def with_id(self) -> Manifest:
        """The same manifest under the id that its content has."""
        blank = msgspec.structs.replace(self, bundle_id="")
        digest = hashlib.sha256(msgspec.json.encode(blank, order="sorted")).hexdigest()
        return msgspec.structs.replace(self, bundle_id=digest[:ID_LENGTH])


@dataclass(frozen=True)
class Bundle:
    """A verified bundle, ready to score with."""

    manifest: Manifest
    backbone: Backbone
    bank: Bank
    model: bytes


def digest(data: bytes) -> FileDigest:
    """The digest of a file's content."""
    return FileDigest(hashlib.sha256(data).hexdigest(), len(data))


def open_bundle(path: Path, *, runtime: RuntimeName = "auto") -> Bundle:
    """Load the current version of a bundle and verify all of it.

    Raises:
        BundleError: missing, incomplete, damaged, or inconsistent.
        RuntimeUnavailableError: no TFLite runtime works here.
    """
    folder = current_version(path)
    manifest = read_manifest(folder)
    model = _read_verified(folder, BACKBONE_FILE, manifest)
    bank_model = _read_verified(folder, BANK_FILE, manifest)
    backbone = Backbone(model, manifest.backbone, runtime=runtime)
    if (backbone.input, backbone.output) != (manifest.backbone_input, manifest.backbone_output):
        raise BundleError(f"{folder}: the backbone's quantisation is not what the manifest says")
    rows = read_bank(bank_model)
    if rows.shape != (manifest.bank.rows, manifest.bank.dimension):
        raise BundleError(
            f"{folder}: the bank is {list(rows.shape)}, "
            f"the manifest says {[manifest.bank.rows, manifest.bank.dimension]}"
        )
    return Bundle(manifest, backbone, Bank(rows), model)


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of one version of a bundle.

    Raises:
        BundleError: missing, not a manifest, changed since it was written, or inconsistent.
    """
    path = folder / MANIFEST_FILE
    raw = _read(path)
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: not a bundle's manifest ({error})") from None
    if manifest.with_id().bundle_id != manifest.bundle_id:
        raise BundleError(
            f"{path}: changed since it was written (its id is {manifest.bundle_id}, its content's "
            f"{manifest.with_id().bundle_id}). Copy the bundle again or run 'earpatch calibrate'"
        )
    if wrong := inconsistencies(manifest):
        raise BundleError(f"{path}: inconsistent in {', '.join(wrong)}. Run 'earpatch calibrate'")
    return manifest


def _read_verified(folder: Path, name: str, manifest: Manifest) -> bytes:
    data = _read(folder / name)
    expected = manifest.files[name]
    if digest(data) != expected:
        raise BundleError(
            f"{folder / name}: does not match the manifest (expected {expected.size_bytes} bytes "
            f"with sha256 {expected.sha256[:12]}..., found {len(data)} with "
            f"{digest(data).sha256[:12]}...). Copy the bundle again or run 'earpatch calibrate'"
        )
    return data


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
