"""The manifest: everything about a bundle but its tensors, under an id that its content has."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Literal

import msgspec

from edge.backbone import BackboneInfo, Quantisation
from edge.errors import BundleError
from edge.evidence import Thresholds
from edge.frontend import FrontEnd
from edge.manifest_checks import inconsistencies
from edge.runtime import RuntimeInfo

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = "earpatch-bundle-3"
EARLIER_FORMATS = {"earpatch-bundle-1", "earpatch-bundle-2"}  # without golden windows
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

    format: Literal["earpatch-bundle-3"]
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


def digest(data: bytes) -> FileDigest:
    """The digest of a file's content."""
    return FileDigest(hashlib.sha256(data).hexdigest(), len(data))


def decode_manifest(raw: bytes, path: Path) -> Manifest:
    """Check a manifest; `path` is what errors call it.

    Raises:
        BundleError: not a manifest, changed since it was written, or inconsistent.
    """
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        if _format_of(raw) in EARLIER_FORMATS:
            raise BundleError(
                f"{path}: made by an earlier version of earpatch, without golden windows. Run "
                "'earpatch calibrate' to learn it anew"
            ) from None
        raise BundleError(f"{path}: not a bundle's manifest ({error})") from None
    if manifest.with_id().bundle_id != manifest.bundle_id:
        raise BundleError(
            f"{path}: changed since it was written (its id is {manifest.bundle_id}, its content's "
            f"{manifest.with_id().bundle_id}). Copy the bundle again or run 'earpatch calibrate'"
        )
    if wrong := inconsistencies(manifest):
        raise BundleError(f"{path}: inconsistent in {', '.join(wrong)}. Run 'earpatch calibrate'")
    return manifest


class _Versioned(msgspec.Struct):
    """What every manifest there ever was has."""

    format: str


def _format_of(raw: bytes) -> str:
    try:
        return msgspec.json.decode(raw, type=_Versioned).format
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
