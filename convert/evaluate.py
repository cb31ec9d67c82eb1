"""`earpatch evaluate`: one command, one table, for any bundle's backbone or any backbone."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from convert.evaluation_backbones import report_command
from convert.evaluation_choice import check_sets, choose_systems, gather_sets
from convert.evaluation_plot import check_plot, plot
from convert.evaluation_promises import promises_command
from convert.evaluation_report import table
from convert.evaluation_results import mean, results_of
from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

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
                folder = Path(scratch) / f"{number}-{place}"
                system.learn(evaluation_set.normal, folder)
                judged = []
                judgements = system.judge([clip.path for clip in evaluation_set.clips])
                for clip, judgement in zip(evaluation_set.clips, judgements, strict=True):
                    judged.append((clip, judgement))
                    progress.update(1)
                for result in results_of(evaluation_set.name, system.name, judged):
                    rows[result.set, result.system].append(result)
                shutil.rmtree(folder, ignore_errors=True)
    return [mean(results) for _, results in sorted(rows.items())]


def evaluate_command(arguments: argparse.Namespace) -> int:
    """Gather systems and sets, print the table."""
    if arguments.latency or arguments.quantisation is not None:
        return report_command(arguments)
    if arguments.faithfulness or arguments.promise_hours or arguments.alarms:
        return promises_command(arguments)
    check_sets(arguments)
    if arguments.plot:
        check_plot(arguments.plot)
    systems = choose_systems(arguments)
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        results = evaluate(systems, gather_sets(arguments, Path(scratch)))
    if not results:
        raise EarpatchError("no set has both normal and anomalous clips to judge")
    if arguments.json:
        print("\n".join(msgspec.json.encode(result).decode() for result in results))
    else:
        print(table(results))
    if arguments.plot:
        plot(results, arguments.plot)
    return 0
