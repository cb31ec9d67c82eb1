"""`earpatch evaluate`: one command, one table, for any bundle's backbone or any backbone."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.backbones import builtin_backbone, source_of_bundle
from convert.build import MN04_FILE, MOBILENET_FILE, build_backbone
from convert.evaluation_metrics import (
    CellMetrics,
    ClipMetrics,
    EventMetrics,
    cell_metrics,
    clip_metrics,
    event_metrics,
)
from convert.evaluation_sets import (
    CELL_FRAMES,
    dcase_sets,
    folder_set,
    mimii_sets,
    mixture_sets,
    simulated_sets,
)
from convert.evaluation_systems import Earpatch, LogMelMahalanobis, LogMelNeighbour
from edge.errors import EarpatchError
from edge.frontend import FrontEnd
from edge.progress import bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from calibration.survey import Survey
    from convert.evaluation_sets import Clip, EvaluationSet
    from convert.evaluation_systems import Judgement, System

COLUMN_S = CELL_FRAMES * FrontEnd().frame_s


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: means over the sets of one name."""

    set: str
    system: str
    machines: int
    normal_clips: int
    anomalous_clips: int
    clip: ClipMetrics
    cell: CellMetrics | None
    event: EventMetrics | None


def evaluate(systems: Sequence[System], sets: Sequence[EvaluationSet]) -> list[Result]:
    """Let every system learn and judge every set."""
    rows: dict[tuple[str, str], list[Result]] = defaultdict(list)
    total = len(systems) * sum(len(s.clips) for s in sets)
    with bar("Evaluating", total, "clips") as progress, tempfile.TemporaryDirectory() as scratch:
        for number, evaluation_set in enumerate(sets):
            for place, system in enumerate(systems):
                system.learn(evaluation_set.normal, Path(scratch) / f"{number}-{place}")
                judged = []
                for clip in evaluation_set.clips:
                    judged.append((clip, system.judge(clip.path)))
                    progress.update(1)
                for result in _results(evaluation_set.name, system.name, judged):
                    rows[result.set, result.system].append(result)
    return [_mean(results) for _, results in sorted(rows.items())]


def evaluate_command(arguments: argparse.Namespace) -> int:
    """Gather systems and sets, print the table."""
    systems: list[System] = [
        Earpatch(str(path), lambda _, path=path: source_of_bundle(path))  # type: ignore[misc]
        for path in arguments.bundle
    ]
    names = arguments.backbone or ([] if arguments.bundle else ["builtin"])
    systems += [Earpatch(name, _maker(name, arguments.weights)) for name in names]
    systems += [LogMelNeighbour(), LogMelMahalanobis()]
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        results = evaluate(systems, _gather(arguments, Path(scratch)))
    if not results:
        raise EarpatchError("no set has both normal and anomalous clips to judge")
    if arguments.json:
        print("\n".join(msgspec.json.encode(result).decode() for result in results))
    else:
        print(table(results))
    return 0


def _maker(name: str, weights: Path | None) -> Callable[[Survey], BackboneSource]:
    if name == "builtin":
        return lambda _: builtin_backbone()
    files = {"mn04": MN04_FILE, "mobilenet_v2": MOBILENET_FILE}
    given = weights / files[name] if weights is not None and name in files else None
    return lambda heard: build_backbone(name, given, heard)


def _gather(arguments: argparse.Namespace, scratch: Path) -> list[EvaluationSet]:
    if (arguments.normal is None) != (arguments.anomalous is None):
        raise EarpatchError("--normal and --anomalous go together")
    if (arguments.root is None) != (arguments.layout is None):
        raise EarpatchError("--root and --layout go together")
    sets: list[EvaluationSet] = []
    if arguments.mixtures:
        mixtures = (arguments.mixtures, scratch, arguments.seed, arguments.mixed_clips)
        mixed = mixture_sets(*mixtures)
        if not mixed:
            raise EarpatchError(
                f"{arguments.mixtures}: no esc10/ and slider_id00/ with what is kept for reporting"
            )
        sets += mixed
    if arguments.normal and arguments.anomalous:
        sets.append(folder_set(arguments.normal, arguments.anomalous))
    if arguments.root:
        sets += (mimii_sets if arguments.layout == "mimii" else dcase_sets)(arguments.root)
    if arguments.simulated_clips:
        sets += simulated_sets(scratch, arguments.simulated_clips)
    if not sets:
        raise EarpatchError(
            "nothing to evaluate on: give --mixtures, --normal with --anomalous, or --root"
        )
    return sets


def table(results: Sequence[Result]) -> str:
    """The results as text, set by set."""
    set_width = max(len("set"), *(len(r.set) for r in results))
    width = max(len("system"), *(len(r.system) for r in results))
    lines = [
        f"{'set':{set_width}} {'system':{width}} {'clips':>9}  "
        f"{'AUC':>5} {'95 %':>13} {'pAUC':>5}  "
        f"{'cell':>5} {'AP':>5} {'AUPRO':>5}  {'PSDS':>5} {'F1':>5}"
    ]
    previous = ""
    for r in results:
        counts = f"{r.normal_clips}+{r.anomalous_clips}"
        name, previous = ("" if r.set == previous else r.set), r.set
        clip, cell, event = r.clip, r.cell, r.event
        line = f"{name:{set_width}} {r.system:{width}} {counts:>9}  {clip.auc:5.3f} "
        line += f"{f'{clip.auc_low:.3f}-{clip.auc_high:.3f}':>13} {clip.pauc:5.3f}  "
        cells = msgspec.structs.astuple(cell) if cell else 3 * (None,)
        line += " ".join(map(_shown, cells)) + "  "
        line += " ".join(map(_shown, msgspec.structs.astuple(event) if event else 2 * (None,)))
        lines.append(line)
    return "\n".join(lines)


def _results(set_name: str, system: str, judged: list[tuple[Clip, Judgement]]) -> list[Result]:
    """One row for each kind of anomaly in the set, each against all of its normal clips."""
    plain = [pair for pair in judged if not pair[0].anomalous]
    kinds = sorted({clip.kind for clip, _ in judged if clip.anomalous})
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
            )
        )
    return rows


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


def _mean(results: list[Result]) -> Result:
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
    )


def _mean_event(events: Sequence[EventMetrics]) -> EventMetrics:
    f1 = [event.f1_at_alarm for event in events if event.f1_at_alarm is not None]
    psds = float(np.mean([event.psds for event in events]))
    return EventMetrics(psds, float(np.mean(f1)) if f1 else None)


def _shown(value: float | None) -> str:
    return f"{'-':>5}" if value is None else f"{value:5.3f}"


def _means(structs: Sequence[msgspec.Struct]) -> list[float]:
    return [float(x) for x in np.mean([msgspec.structs.astuple(s) for s in structs], axis=0)]
