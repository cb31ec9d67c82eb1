"""Learning a site: normal sound and a backbone in, the next version of a bundle out."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.coreset import DEFAULT_MAX_BYTES, DEFAULT_MAX_ROWS, StreamingCoreset
from calibration.thresholds import learn_thresholds
from edge import __version__
from edge.bank_file import write_bank
from edge.bundle import (
    BACKBONE_FILE,
    BANK_FILE,
    FORMAT,
    MANIFEST_FILE,
    BankInfo,
    Manifest,
    digest,
    read_manifest,
)
from edge.bundle_store import check_target, current_version, holds_bundle, write_version
from edge.detector import grid_distances
from edge.embedding import Embedder, column_s, rows_below
from edge.errors import BundleError, EarpatchError, RecordingError
from edge.nearest import Bank
from edge.progress import bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from calibration.survey import Piece, Survey
    from edge.backbone import Backbone
    from edge.frontend import FrontEnd

    FloatArray = NDArray[np.float32]
    Int8Array = NDArray[np.int8]

STRETCH_S = 10.0  # the shortest stretch worth holding out
MIN_STRETCHES, MAX_STRETCHES = 4, 48
HOLD_OUT_EVERY = 4
MIN_GAIN_DB, MAX_GAIN_DB = -30.0, 60.0
HELD_OUT_COLUMNS_AT_ONCE = 512


@dataclass(frozen=True)
class BankLimits:
    """The bank's bounds: by rows and bytes, never by a share of what was heard."""

    max_rows: int = DEFAULT_MAX_ROWS
    max_bytes: int = DEFAULT_MAX_BYTES


def gain_for(level_dbfs: float, reference_level_dbfs: float) -> float:
    """The gain, in dB, that brings this site's normal sound to the level a backbone expects."""
    return round(float(np.clip(reference_level_dbfs - level_dbfs, MIN_GAIN_DB, MAX_GAIN_DB)), 2)


def learn(
    path: Path, source: BackboneSource, heard: Survey, limits: BankLimits = BankLimits()
) -> Manifest:
    """Choose a bank, measure thresholds, and write the next version of the bundle at `path`.

    Raises:
        RecordingError: the normal sound can't be used.
        BundleError: the bundle can't be written.
    """
    info = source.backbone.info
    gain_db = gain_for(heard.level_dbfs, source.reference_level_dbfs)
    front_end = msgspec.structs.replace(source.front_end, gain_db=gain_db)
    rows = rows_below(heard.limit_hz, front_end, info)
    if rows == 0:
        raise RecordingError(
            f"{2 * heard.limit_hz:.0f} Hz is too low a rate: nothing is left to learn"
        )
    if limits.max_bytes < info.dimension:
        raise EarpatchError(
            f"a bank of {limits.max_bytes} bytes holds no embedding: each has {info.dimension}"
        )
    coreset = StreamingCoreset(info.dimension, max_rows=limits.max_rows, max_bytes=limits.max_bytes)
    check_target(path)
    place = path if path.is_dir() else path.parent
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=place) as spill:
        lengths = _split(heard, source.backbone, front_end, rows, coreset, spill)
        bank_rows, radius_steps = coreset.finish()
        segments = list(_held_out(spill, lengths, Bank(bank_rows), rows, source.backbone))
    scale = source.backbone.output.scale
    bank_model = write_bank(bank_rows, scale)
    created = datetime.now(timezone.utc)
    manifest = Manifest(
        format=FORMAT,
        bundle_id="",
        previous_id=_current_id(path),
        created_utc=created.isoformat(timespec="seconds"),
        created_by=f"earpatch {__version__}",
        backbone=info,
        backbone_input=source.backbone.input,
        backbone_output=source.backbone.output,
        reference_level_dbfs=source.reference_level_dbfs,
        front_end=front_end,
        limit_hz=heard.limit_hz,
        rows=rows,
        bank=BankInfo(
            rows=len(bank_rows),
            dimension=info.dimension,
            max_rows=limits.max_rows,
            max_bytes=limits.max_bytes,
            chosen_from_cells=coreset.seen,
            cover_radius=radius_steps * scale,
        ),
        thresholds=learn_thresholds(segments, column_s(front_end, info)),
        runtime=source.backbone.runtime,
        recordings=heard.provenance,
        files={BACKBONE_FILE: digest(source.model), BANK_FILE: digest(bank_model)},
    ).with_id()
    _save(path, f"{created:%Y%m%dT%H%M%SZ}", manifest, source.model, bank_model)
    return manifest


def _save(path: Path, time: str, manifest: Manifest, model: bytes, bank_model: bytes) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    files = {BACKBONE_FILE: model, BANK_FILE: bank_model, MANIFEST_FILE: encoded}
    write_version(path, f"{time}-{manifest.bundle_id}", files)


def _split(
    heard: Survey,
    backbone: Backbone,
    front_end: FrontEnd,
    rows: int,
    coreset: StreamingCoreset,
    spill: BinaryIO,
) -> list[int]:
    """Embed everything: most of it into the coreset, every fourth stretch into `spill`.

    Returns:
        The number of columns of each uninterrupted held-out stretch, in the order of `spill`.
    """
    seconds = column_s(front_end, backbone.info)
    stretches = int(np.clip(heard.duration_s // STRETCH_S, MIN_STRETCHES, MAX_STRETCHES))
    stretch_columns = max(1.0, heard.duration_s / seconds / stretches)
    lengths: list[int] = []
    position = 0
    with bar("Learning normal sound", heard.duration_s, "s") as progress:
        for piece in heard.pieces:
            previous = -1
            for columns in _embed(piece, backbone, front_end, heard.limit_hz):
                indices = ((position + np.arange(len(columns))) / stretch_columns).astype(int)
                for stretch in np.unique(indices):
                    part = columns[indices == stretch, :rows]
                    if stretch % HOLD_OUT_EVERY != HOLD_OUT_EVERY - 1:
                        coreset.add(part.reshape(-1, part.shape[-1]))
                        continue
                    spill.write(np.ascontiguousarray(part).tobytes())
                    if stretch != previous:
                        lengths.append(0)
                    lengths[-1] += len(part)
                    previous = stretch
                position += len(columns)
                progress.update(len(columns) * seconds)
    return lengths


def _embed(
    piece: Piece, backbone: Backbone, front_end: FrontEnd, limit_hz: float
) -> Iterator[Int8Array]:
    embedder = Embedder(front_end, backbone, rate_hz=piece.rate_hz, limit_hz=limit_hz)
    for block in piece.blocks():
        yield embedder.push(block)
    yield embedder.finish()


def _held_out(
    spill: BinaryIO, lengths: list[int], bank: Bank, rows: int, backbone: Backbone
) -> Iterator[FloatArray]:
    """Distances of the held-out stretches, [columns, rows] each."""
    spill.seek(0)
    dimension, scale = backbone.info.dimension, np.float32(backbone.output.scale)
    for length in lengths:
        parts = []
        for start in range(0, length, HELD_OUT_COLUMNS_AT_ONCE):
            count = min(HELD_OUT_COLUMNS_AT_ONCE, length - start)
            raw = spill.read(count * rows * dimension)
            columns = np.frombuffer(raw, np.int8).reshape(count, rows, dimension)
            parts.append(grid_distances(bank, columns, scale))
        yield np.concatenate(parts)


def _current_id(path: Path) -> str | None:
    """The id of the version that will be replaced; a damaged one has none."""
    if not path.is_dir() or not holds_bundle(path):
        return None
    try:
        return read_manifest(current_version(path)).bundle_id
    except BundleError:
        return None
