"""From judgements to rows: one for each kind of anomaly, and means over the sets of one name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from convert.evaluation_masks import CELL_FRAMES
from convert.evaluation_metrics import (
    CellMetrics,
    ClipMetrics,
    EventMetrics,
    cell_metrics,
    clip_auc,
    clip_metrics,
    event_metrics,
)
from edge.frontend import FrontEnd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from convert.evaluation_sets import Clip
    from convert.evaluation_systems import Judgement

COLUMN_S = CELL_FRAMES * FrontEnd().frame_s


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the table: means over the sets of one name."""

    set: str
    system: str
    machines: int
    normal_clips: int
    anomalous_clips: int
    clip: ClipMetrics
    cell: CellMetrics | None
    event: EventMetrics | None
    auc_by_snr: dict[str, float] | None = None  # of mixtures; a key is an SNR in dB, such as "+6"


def results_of(set_name: str, system: str, judged: list[tuple[Clip, Judgement]]) -> list[Result]:
    """One row for each kind of anomaly in the set, each against all of its normal clips."""
    plain = [pair for pair in judged if not pair[0].anomalous]
    kinds = sorted({clip.kind for clip, _ in judged if clip.anomalous and plain})
    rows = []
    for kind in kinds:
        of_kind = [pair for pair in judged if pair[0].anomalous and pair[0].kind == kind]
        pairs = plain + of_kind
        scores = [judgement.score for _, judgement in pairs]
        known = [pair for pair in of_kind if pair[0].mask is not None]
        maps, masks = _aligned(known)
        told = np.concatenate([m.ravel() for m in masks]) if known else np.empty(0, bool)
        judged_cells = bool(told.any() and not told.all())
        quiet = [judgement for _, judgement in plain]
        rows.append(
            Result(
                set=f"{set_name}, {kind}" if kind else set_name,
                system=system,
                machines=1,
                normal_clips=len(plain),
                anomalous_clips=len(of_kind),
                clip=clip_metrics(scores, [clip.anomalous for clip, _ in pairs]),
                cell=cell_metrics(maps, masks) if judged_cells else None,
                event=_events(maps, masks, quiet, known[0][1].alarm) if judged_cells else None,
                auc_by_snr=_auc_by_snr(quiet, of_kind),
            )
        )
    return rows


def _auc_by_snr(
    quiet: list[Judgement], anomalous: list[tuple[Clip, Judgement]]
) -> dict[str, float] | None:
    """The clips of each SNR against all normal clips."""
    snrs_db = sorted({clip.snr_db for clip, _ in anomalous if clip.snr_db is not None})
    normal = [judgement.score for judgement in quiet]
    aucs = {}
    for snr_db in snrs_db:
        scores = [judgement.score for clip, judgement in anomalous if clip.snr_db == snr_db]
        labels = [False] * len(normal) + [True] * len(scores)
        aucs[f"{snr_db:+g}"] = clip_auc(normal + scores, labels)
    return aucs or None


def _aligned(
    known: list[tuple[Clip, Judgement]],
) -> tuple[list[NDArray[np.float32]], list[NDArray[np.bool_]]]:
    """Maps and masks cut to the cells that both have: a map may lack the highest rows."""
    maps, masks = [], []
    for clip, judgement in known:
        assert clip.mask is not None  # noqa: S101
        columns, rows = np.minimum(clip.mask.shape, judgement.map.shape)
        maps.append(judgement.map[:columns, :rows])
        masks.append(clip.mask[:columns, :rows])
    return maps, masks


def _events(
    maps: list[NDArray[np.float32]],
    masks: list[NDArray[np.bool_]],
    plain: list[Judgement],
    alarm: float | None,
) -> EventMetrics:
    """Normal clips count as well: an event in one of them is a false alarm."""
    curves = [m.max(axis=1) for m in maps] + [judgement.map.max(axis=1) for judgement in plain]
    silent = [np.zeros((len(judgement.map), 1), bool) for judgement in plain]
    return event_metrics(curves, masks + silent, COLUMN_S, alarm)


def mean(results: Sequence[Result]) -> Result:
    """The mean over machines; intervals are averaged too, which makes them wider than need be."""
    first = results[0]
    clip = ClipMetrics(*_means([r.clip for r in results]))
    cells = [r.cell for r in results if r.cell is not None]
    events = [r.event for r in results if r.event is not None]
    return Result(
        set=first.set,
        system=first.system,
        machines=len(results),
        normal_clips=sum(r.normal_clips for r in results),
        anomalous_clips=sum(r.anomalous_clips for r in results),
        clip=clip,
        cell=CellMetrics(*_means(cells)) if cells else None,
        event=_mean_event(events) if events else None,
        auc_by_snr=_mean_by_snr([r.auc_by_snr for r in results if r.auc_by_snr]),
    )


def _mean_by_snr(found: Sequence[dict[str, float]]) -> dict[str, float] | None:
    """A set with few events may lack an SNR."""
    keys = dict.fromkeys(key for aucs in found for key in aucs)
    means = {k: float(np.mean([aucs[k] for aucs in found if k in aucs])) for k in keys}
    return means or None


def _mean_event(events: Sequence[EventMetrics]) -> EventMetrics:
    f1 = [event.f1_at_alarm for event in events if event.f1_at_alarm is not None]
    psds = float(np.mean([event.psds for event in events]))
    return EventMetrics(psds, float(np.mean(f1)) if f1 else None)


def _means(structs: Sequence[msgspec.Struct]) -> list[float]:
    return [float(x) for x in np.mean([msgspec.structs.astuple(s) for s in structs], axis=0)]
