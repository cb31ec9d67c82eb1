"""Whether the highlighted cells are what raised the alarm: `earpatch evaluate --faithfulness`.

Deletion and insertion, as for explanations of images (Petsiuk et al., RISE, BMVC 2018): the
highlighted cells are replaced by what normal sound has in their place, and the rest must be normal;
alone in normal sound they must raise the alarm. Equal areas of random and of the loudest cells are
what that is compared with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
from scipy import ndimage

from edge.bundle import embedding_scale
from edge.detector import grid_nearest
from edge.evidence import Evidence
from edge.frontend import LogMel
from edge.recording import read_blocks, recording_info
from edge.resample import Resampler
from edge.scoring import score_recording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from edge.bundle import Bundle
    from edge.scoring import Scored

    FloatArray = NDArray[np.float32]
    Mask = NDArray[np.bool_]

DB_A_NEPER = 10.0 / np.log(10.0)
FADE_CELLS = 0.5  # over which a replaced area passes into what is around it
RANDOM_MASKS = 4


class Faithfulness(msgspec.Struct, frozen=True):
    """Means over the anomalous clips that raised an alarm."""

    clips: int
    highlighted_removes: float  # share of the excess score that replacing them takes away
    random_removes: float
    loudest_removes: float
    alone_raise_alarm: float  # share of clips


def measure(bundle: Bundle, paths: Sequence[Path], plain_score: float) -> Faithfulness | None:
    """Replace cells in clips and score again; None where no clip raised an alarm.

    Args:
        bundle: calibrated on recordings that are still there.
        paths: anomalous clips.
        plain_score: what normal clips score, such as their median.
    """
    random = np.random.default_rng(0)
    rows = [
        _of_clip(bundle, path, scored, plain_score, random)
        for path in paths
        if (scored := score_recording(bundle, path)).verdict.anomalous
    ]
    return Faithfulness(len(rows), *map(float, np.mean(rows, axis=0))) if rows else None


def _of_clip(
    bundle: Bundle,
    path: Path,
    scored: Scored,
    plain_score: float,
    random: np.random.Generator,
) -> tuple[float, float, float, float]:
    frames = _log_mel(bundle, path)
    normal = _normal_like(bundle, scored, len(frames))
    release = bundle.manifest.thresholds.release
    highlighted = scored.evidence >= release
    whole = _score(bundle, frames, scored)

    def removed(mask: Mask) -> float:
        left = _score(bundle, _mixed(bundle, frames, normal, mask), scored)
        return float(np.clip((whole - left) / max(whole - plain_score, 1e-6), 0, 1))

    count = int(highlighted.sum())
    drawn = [removed(_random_mask(highlighted.shape, count, random)) for _ in range(RANDOM_MASKS)]
    loudest = _largest(scored.levels_db, count)
    alone = _score(bundle, _mixed(bundle, normal, frames, highlighted), scored)
    return removed(highlighted), float(np.mean(drawn)), removed(loudest), float(alone >= 1.0)


def _log_mel(bundle: Bundle, path: Path) -> FloatArray:
    info = recording_info(path)
    limit_hz = min(info.nyquist_hz, bundle.manifest.limit_hz)
    resampler = Resampler(info.rate_hz, bundle.manifest.front_end.sample_rate_hz)
    stream = LogMel(bundle.manifest.front_end, limit_hz=limit_hz)
    for block in read_blocks(info):
        stream.push(resampler.push(block))
    stream.push(resampler.finish())
    return stream.finish()


def _normal_like(bundle: Bundle, scored: Scored, count: int) -> FloatArray:
    """As many frames of normal sound, around the moment that is most like the loudest event."""
    from pathlib import Path as _Path  # noqa: PLC0415

    event = max(scored.verdict.events, key=lambda e: e.score)
    recordings = {_Path(r.path).name: r.path for r in bundle.manifest.recordings}
    frames = _log_mel(bundle, _Path(recordings[event.nearest_recording]))
    frame_s = bundle.manifest.front_end.frame_s
    start = max(0, round((event.nearest_s - event.peak_s) / frame_s))
    start = min(start, max(0, len(frames) - count))
    return np.resize(frames[start : start + count], (count, frames.shape[1]))


def _mixed(bundle: Bundle, frames: FloatArray, other: FloatArray, mask: Mask) -> FloatArray:
    """`frames` with the masked cells of `other`, passing softly from one to the other."""
    info = bundle.manifest.backbone
    size = (info.frames_per_column, info.bands_per_row)
    fine = np.zeros(frames.shape, np.float32)
    grown = np.kron(mask, np.ones(size, np.float32))
    rows, columns = (min(a, b) for a, b in zip(fine.shape, grown.shape, strict=True))
    fine[:rows, :columns] = grown[:rows, :columns]
    width = [1 + 2 * round(FADE_CELLS * s / 2) for s in size]
    share = ndimage.uniform_filter(fine, width, mode="nearest")
    return np.asarray(frames * (1 - share) + other * share, np.float32)


def _score(bundle: Bundle, frames: FloatArray, scored: Scored) -> float:
    """The largest evidence of a spectrogram, by the node's own path from there on."""
    manifest, info = bundle.manifest, bundle.manifest.backbone
    columns, rows = scored.evidence.shape
    context = info.context_columns * info.frames_per_column
    advance = info.window_frames - 2 * context
    windows = -(-columns * info.frames_per_column // advance)
    after = windows * advance - len(frames) + context
    padded = np.pad(frames, ((context, after), (0, 0)), mode="reflect")
    inner = slice(info.context_columns, info.grid_columns - info.context_columns)
    starts = range(0, windows * advance, advance)
    embedded = [bundle.backbone.embed(padded[s : s + info.window_frames])[inner] for s in starts]
    embeddings = np.concatenate(embedded)[:columns, :rows]
    distances, _ = grid_nearest(bundle.bank, embeddings, embedding_scale(manifest))
    body = padded[context : context + columns * info.frames_per_column]
    shape = (columns, info.frames_per_column, info.grid_rows, info.bands_per_row)
    to_db = manifest.front_end.log_scale * DB_A_NEPER
    levels_db = (body.reshape(shape).mean(axis=(1, 3)) * to_db)[:, :rows].astype(np.float32)
    evidence = Evidence(manifest.thresholds, manifest.thresholds.groups(), rows)
    parts = [*evidence.push(distances, levels_db), *evidence.finish()]
    return max(float(part.evidence.max()) for part in parts if part.evidence.size)


def _random_mask(shape: tuple[int, ...], count: int, random: np.random.Generator) -> Mask:
    mask = np.zeros(int(np.prod(shape)), bool)
    mask[random.choice(mask.size, count, replace=False)] = True
    return mask.reshape(shape)


def _largest(values: FloatArray, count: int) -> Mask:
    mask = np.zeros(values.size, bool)
    mask[np.argsort(values, axis=None)[::-1][:count]] = True
    return mask.reshape(values.shape)
