"""Learning a site: normal sound and a backbone in, the next version of a bundle out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.coreset import DEFAULT_MAX_BYTES, DEFAULT_MAX_ROWS
from calibration.coverage import coverage_of
from calibration.golden_windows import choose_golden
from calibration.holdout import HoldOut
from calibration.tail_fit import Promise, promise_of
from calibration.thresholds import alarms_in, learn_thresholds
from edge import __version__
from edge.bank_file import write_bank
from edge.bundle import (
    BACKBONE_FILE,
    BANK_FILE,
    FORMAT,
    GOLDEN_FILE,
    MANIFEST_FILE,
    BankInfo,
    Manifest,
    digest,
    read_manifest,
)
from edge.bundle_pruning import prune
from edge.bundle_store import check_target, current_version, holds_bundle, write_version
from edge.embedding import Embedder, column_s, rows_below
from edge.errors import BundleError, EarpatchError, RecordingError
from edge.evidence import ALARM
from edge.golden_file import encode_golden
from edge.nearest import Bank
from edge.pictures.spectrograms import Pooled
from edge.progress import bar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from calibration.survey import Piece, Survey
    from edge.backbone import Backbone
    from edge.embedding import Columns
    from edge.frontend import FrontEnd

MIN_GAIN_DB, MAX_GAIN_DB = -30.0, 60.0
OVERVIEW_COLUMNS = 1_200


@dataclass(frozen=True)
class BankLimits:
    """The bank's bounds: by rows and bytes, never by a share of what was heard."""

    max_rows: int = DEFAULT_MAX_ROWS
    max_bytes: int = DEFAULT_MAX_BYTES


def gain_for(level_dbfs: float, reference_level_dbfs: float) -> float:
    """The gain, in dB, that brings this site's normal sound to the level a backbone expects."""
    return round(float(np.clip(reference_level_dbfs - level_dbfs, MIN_GAIN_DB, MAX_GAIN_DB)), 2)


@dataclass(frozen=True)
class Learnt:
    """A new version of a bundle, and what it promises."""

    manifest: Manifest
    promise: Promise  # at the alarm level
    checked_s: float  # of sound that nothing was learnt from
    alarms_in_check: int
    coverage: list[int]  # held-out cells by distance: see calibration.coverage
    overview_db: NDArray[np.float32]  # all sound in at most 1200 columns, [columns, bands]


def learn(
    path: Path,
    source: BackboneSource,
    heard: Survey,
    limits: BankLimits = BankLimits(),
    *,
    false_alarms_per_day: float = 1.0,
    microphone: str = "",
) -> Learnt:
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
    check_target(path)
    place = path if path.is_dir() else path.parent
    place.mkdir(parents=True, exist_ok=True)
    seconds, scale = column_s(front_end, info), np.float32(source.backbone.output.scale)
    with HoldOut(
        place,
        rows=rows,
        dimension=info.dimension,
        limit=min(limits.max_rows, limits.max_bytes // info.dimension),
        column_s=seconds,
        scale=scale,
    ) as hold_out:
        overview_db = _hear(heard, source.backbone, front_end, hold_out)
        chosen, cells = hold_out.bank(), hold_out.seen
        held_out = hold_out.held_out()
        thresholds = learn_thresholds(held_out, seconds, float(false_alarms_per_day))
        bank = Bank(chosen.rows)
        check = hold_out.check(bank)
    golden = encode_golden(choose_golden(heard, source.backbone, front_end, bank, rows))
    origins = [hold_out.origin(int(number)) for number in chosen.origins]
    files = {
        BACKBONE_FILE: source.model,
        BANK_FILE: write_bank(chosen.rows, float(scale)),
        GOLDEN_FILE: golden,
    }
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
            rows=len(chosen.rows),
            dimension=info.dimension,
            max_rows=limits.max_rows,
            max_bytes=limits.max_bytes,
            chosen_from_cells=cells,
            cover_radius=chosen.radius * float(scale),
            origin_recording=[recording for recording, _ in origins],
            origin_s=[round(column * seconds, 2) for _, column in origins],
        ),
        thresholds=thresholds,
        bands_db=hold_out.bands_db,
        runtime=source.backbone.runtime,
        recordings=heard.provenance,
        microphone=microphone,
        files={name: digest(data) for name, data in files.items()},
    ).with_id()
    _save(path, f"{created:%Y%m%dT%H%M%SZ}", manifest, files)
    return Learnt(
        manifest,
        promise_of(thresholds.tail, ALARM),
        round(sum(len(segment.distances) for segment in check) * seconds, 1),
        sum(alarms_in(thresholds, segment) for segment in check),
        coverage_of(held_out, manifest.bank.cover_radius),
        overview_db[:, : len(manifest.bands_db)],
    )


def _save(path: Path, time: str, manifest: Manifest, files: dict[str, bytes]) -> None:
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    write_version(path, f"{time}-{manifest.bundle_id}", {**files, MANIFEST_FILE: encoded})
    prune(path)


def _hear(
    heard: Survey, backbone: Backbone, front_end: FrontEnd, hold_out: HoldOut
) -> NDArray[np.float32]:
    """Embed everything once, and keep a narrow spectrogram of it to look at."""
    seconds = column_s(front_end, backbone.info)
    overview = Pooled(heard.duration_s / seconds, OVERVIEW_COLUMNS, "mean")
    with bar("Learning normal sound", heard.duration_s, "s") as progress:
        for lesson in heard.lessons():
            pieces = [(n, piece) for n, recording in lesson for piece in heard.kept(recording)]
            hold_out.begin(sum(piece.duration_s for _, piece in pieces) / seconds)
            for number, piece in pieces:
                first = round(piece.start_s / seconds)
                hold_out.cut()
                for columns in _embed(piece, backbone, front_end, heard.limit_hz):
                    hold_out.add(columns, number, first)
                    overview.add(columns.bands_db)
                    first += len(columns.embeddings)
                    progress.update(len(columns.embeddings) * seconds)
    return overview.finish()


def _embed(
    piece: Piece, backbone: Backbone, front_end: FrontEnd, limit_hz: float
) -> Iterator[Columns]:
    embedder = Embedder(front_end, backbone, rate_hz=piece.rate_hz, limit_hz=limit_hz)
    for block in piece.blocks():
        yield embedder.push(block)
    yield embedder.finish()


def _current_id(path: Path) -> str | None:
    """The id of the version that will be replaced; a damaged one has none."""
    if not path.is_dir() or not holds_bundle(path):
        return None
    try:
        return read_manifest(current_version(path)).bundle_id
    except BundleError:
        return None
