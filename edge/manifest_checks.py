"""Whether a manifest makes sense: what a damaged or a hostile one would break is found here."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from edge.bundle_store import FILES
from edge.evidence import ALARM
from edge.nearest import MAX_DIMENSION
from edge.scales import LOCAL_COLUMNS

if TYPE_CHECKING:
    from edge.frontend import FrontEnd
    from edge.manifest import Manifest
    from edge.scales import Scale
    from edge.tail import Tail

*OTHER_FILES, _ = FILES  # the manifest is the last


def inconsistencies(manifest: Manifest) -> list[str]:
    """What in a manifest can't be, or doesn't fit the rest of it."""
    info, limits = manifest.backbone, manifest.thresholds
    problems = {
        "rows": not 0 < manifest.rows <= info.grid_rows,
        "scales": not limits.fast()
        or not all(_is_sound(s, manifest.rows) for s in (limits.local, *limits.scales))
        or not (limits.local.against == "normal" and limits.local.columns <= LOCAL_COLUMNS),
        "alarm": not (math.isfinite(limits.alarm) and limits.alarm > 0),
        "tail": not _is_tail(limits.tail),
        "release": not 0 < limits.release <= ALARM,
        "bands_db": len(manifest.bands_db)
        != manifest.rows * (info.mel_bands // max(1, info.grid_rows))
        or not all(map(math.isfinite, manifest.bands_db)),
        "origins": not _are_origins(manifest),
        "dimension": not 0 < info.dimension <= MAX_DIMENSION
        or info.dimension != manifest.bank.dimension,
        "mel_bands": info.mel_bands != manifest.front_end.mel_bands
        or info.mel_bands % max(1, info.grid_rows) != 0,
        "window_frames": info.window_frames % max(1, info.grid_columns) != 0
        or not 0 <= 2 * info.context_columns < info.grid_columns,
        "front_end": not _is_possible(manifest.front_end),
        "files": set(manifest.files) != set(OTHER_FILES),
    }
    return [name for name, is_wrong in problems.items() if is_wrong]


def _is_possible(front_end: FrontEnd) -> bool:
    numbers = msgspec.structs.astuple(front_end)
    return (
        all(map(math.isfinite, numbers))
        and front_end.sample_rate_hz > 0
        and 0 < front_end.hop_length <= front_end.frame_length <= front_end.fft_size
        and front_end.mel_bands > 0
        and 0 <= front_end.low_hz < front_end.high_hz <= front_end.sample_rate_hz / 2
        and front_end.power_floor > 0
        and front_end.log_scale > 0
    )


def _is_sound(scale: Scale, rows: int) -> bool:
    statistics = (scale.distance, scale.level, scale.joint)
    numbers = [x for s in statistics for x in (*s.centre, *s.spread)]
    return (
        all(len(s.centre) == len(s.spread) == rows for s in statistics)
        and all(map(math.isfinite, [*numbers, scale.unit]))
        and min(scale.unit, *(x for s in statistics for x in s.spread)) > 0
        and scale.columns >= 1
        and scale.columns % 2 == 1
    )


def _is_tail(tail: Tail) -> bool:
    numbers = [tail.block_s, tail.threshold, tail.share_above, tail.shape, tail.scale, *tail.levels]
    return (
        all(map(math.isfinite, numbers))
        and tail.blocks > 0
        and min(tail.block_s, tail.share_above, tail.scale) > 0
        and tail.shape >= 0
        and len(tail.levels) > 1
        and tail.levels == sorted(tail.levels)
    )


def _are_origins(manifest: Manifest) -> bool:
    bank, count = manifest.bank, len(manifest.recordings)
    return len(bank.origin_recording) == len(bank.origin_s) == bank.rows and all(
        0 <= index < count for index in bank.origin_recording
    )
