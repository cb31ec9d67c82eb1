"""How well a system detects and localises: clip, spectrogram and time level.

Clip AUC and pAUC (p = 0.1, standardised after McClish as in the DCASE challenges) with a bootstrap
interval; cell AUROC, average precision and AUPRO (Bergmann et al., IJCV 2021) up to a
false-positive rate of 0.3; PSDS (Bilen et al., ICASSP 2020) and event F1 from `sed_scores_eval`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from scipy import ndimage
from sklearn import metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Map = NDArray[np.float32]
    Mask = NDArray[np.bool_]

PARTIAL = 0.1
PRO_LIMIT = 0.3
PRO_POINTS = 3_000
BOOTSTRAPS, INTERVAL = 500, 0.95
DETECTION_SHARE = 0.5  # of an event that must be covered, and of a detection that must be event
COLLAR_S = 0.2
EVENT = "anomaly"


class ClipMetrics(msgspec.Struct, frozen=True):
    """How well clips are told apart."""

    auc: float
    auc_low: float  # of the bootstrap interval
    auc_high: float
    pauc: float


class CellMetrics(msgspec.Struct, frozen=True):
    """How well cells are told apart."""

    auroc: float
    average_precision: float
    aupro: float


class EventMetrics(msgspec.Struct, frozen=True):
    """How well events are found in time."""

    psds: float
    f1_at_alarm: float | None  # None: the system sets no alarm level


def clip_metrics(scores: Sequence[float], anomalous: Sequence[bool], seed: int = 0) -> ClipMetrics:
    """From one score a clip."""
    values, labels = np.asarray(scores, np.float64), np.asarray(anomalous, bool)
    random = np.random.default_rng(seed)
    resampled = [
        metrics.roc_auc_score(labels[at], values[at])
        for at in (random.integers(0, len(labels), len(labels)) for _ in range(BOOTSTRAPS))
        if labels[at].any() and not labels[at].all()
    ]
    tail = (1 - INTERVAL) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail]) if resampled else (math.nan, math.nan)
    return ClipMetrics(
        auc=clip_auc(scores, anomalous),
        auc_low=float(low),
        auc_high=float(high),
        pauc=float(metrics.roc_auc_score(labels, values, max_fpr=PARTIAL)),
    )


def clip_auc(scores: Sequence[float], anomalous: Sequence[bool]) -> float:
    """The share of pairs of a normal and an anomalous clip that are in order."""
    return float(metrics.roc_auc_score(np.asarray(anomalous, bool), np.asarray(scores)))


def cell_metrics(maps: Sequence[Map], masks: Sequence[Mask]) -> CellMetrics:
    """From maps and masks of equal shapes, [columns, rows] each."""
    values = np.concatenate([m.ravel() for m in maps])
    truth = np.concatenate([m.ravel() for m in masks])
    return CellMetrics(
        auroc=float(metrics.roc_auc_score(truth, values)),
        average_precision=float(metrics.average_precision_score(truth, values)),
        aupro=aupro(maps, masks),
    )


def aupro(maps: Sequence[Map], masks: Sequence[Mask], limit: float = PRO_LIMIT) -> float:
    """Area under the per-region overlap curve up to a false-positive rate, in units of `limit`."""
    outside = np.sort(np.concatenate([m[~mask] for m, mask in zip(maps, masks, strict=True)]))
    regions = [
        np.sort(values[labels == number])
        for values, mask in zip(maps, masks, strict=True)
        for labels, count in [ndimage.label(mask)]
        for number in range(1, count + 1)
    ]
    everything = np.unique(np.concatenate([outside, *regions]))[::-1]
    thresholds = everything[np.unique(np.linspace(0, len(everything) - 1, PRO_POINTS).astype(int))]
    rates = np.concatenate([[0.0], _share_reaching(outside, thresholds)])
    overlaps = np.mean([_share_reaching(region, thresholds) for region in regions], axis=0)
    overlaps = np.concatenate([[0.0], overlaps])
    inside = rates < limit
    x = np.append(rates[inside], limit)
    y = np.append(overlaps[inside], np.interp(limit, rates, overlaps))
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1]) / 2) / limit)


def _share_reaching(values: Map, thresholds: Map) -> NDArray[np.float64]:
    """The share of sorted values that reach each threshold."""
    return np.asarray(1.0 - np.searchsorted(values, thresholds) / len(values))


def event_metrics(
    curves: Sequence[NDArray[np.floating[Any]]],
    masks: Sequence[Mask],
    column_s: float,
    alarm: float | None,
) -> EventMetrics:
    """From one score a column and clip; the alarm level is the one that the system itself set."""
    from sed_scores_eval import collar_based, intersection_based  # noqa: PLC0415
    from sed_scores_eval.base_modules.scores import create_score_dataframe  # noqa: PLC0415

    scores, truth, durations = {}, {}, {}
    for number, (curve, mask) in enumerate(zip(curves, masks, strict=True)):
        name, edges = f"clip-{number}", np.arange(len(curve) + 1) * column_s
        scores[name] = create_score_dataframe(np.asarray(curve)[:, None], edges, [EVENT])
        truth[name] = [(start, end, EVENT) for start, end in _spans(mask, column_s)]
        durations[name] = float(edges[-1])
    psds, *_ = intersection_based.psds(
        scores=scores, ground_truth=truth, audio_durations=durations,
        dtc_threshold=DETECTION_SHARE, gtc_threshold=DETECTION_SHARE, cttc_threshold=None,
        alpha_ct=0.0, alpha_st=0.0, max_efpr=100,
    )  # fmt: skip
    if alarm is None:
        return EventMetrics(float(psds), None)
    f1, *_ = collar_based.fscore(
        scores=scores, ground_truth=truth, threshold=alarm,
        onset_collar=COLLAR_S, offset_collar=COLLAR_S, offset_collar_rate=DETECTION_SHARE,
    )  # fmt: skip
    return EventMetrics(float(psds), float(f1[EVENT]))


def _spans(mask: Mask, column_s: float) -> list[tuple[float, float]]:
    """When the event sounds, from its first to its last column."""
    columns = np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return []
    return [(float(columns[0] * column_s), float((columns[-1] + 1) * column_s))]
