"""`earpatch evaluate`: one command, one table, for any bundle's backbone or any backbone."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calibration.backbones import builtin_backbone, source_of_bundle
from convert.build import MN04_FILE, MOBILENET_FILE, build_backbone
from convert.evaluation_baselines import LogMelMahalanobis, LogMelNeighbour
from convert.evaluation_mixtures import mixture_sets
from convert.evaluation_report import table
from convert.evaluation_results import mean, results_of
from convert.evaluation_sets import dcase_sets, folder_set, mimii_sets
from convert.evaluation_simulated import simulated_sets
from convert.evaluation_systems import Earpatch
from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from calibration.backbones import BackboneSource
    from calibration.survey import Survey
    from convert.evaluation_results import Result
    from convert.evaluation_sets import EvaluationSet
    from convert.evaluation_systems import System


def evaluate(systems: Sequence[System], sets: Sequence[EvaluationSet]) -> list[Result]:
    """Let every system learn and judge every set."""
    rows: dict[tuple[str, str], list[Result]] = defaultdict(list)
    total = len(systems) * sum(len(s.clips) for s in sets)
    with bar("Evaluating", total, "clips") as progress, tempfile.TemporaryDirectory() as scratch:
        for number, evaluation_set in enumerate(sets):
            for place, system in enumerate(systems):
                system.learn(evaluation_set.normal, Path(scratch) / f"{number}-{place}")
                judged = []
                judgements = system.judge([clip.path for clip in evaluation_set.clips])
                for clip, judgement in zip(evaluation_set.clips, judgements, strict=True):
                    judged.append((clip, judgement))
                    progress.update(1)
                for result in results_of(evaluation_set.name, system.name, judged):
                    rows[result.set, result.system].append(result)
    return [mean(results) for _, results in sorted(rows.items())]


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
