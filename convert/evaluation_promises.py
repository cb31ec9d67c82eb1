"""`earpatch evaluate --faithfulness` and `--promise-hours`: what evidence and promise hold."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import Machine
from convert import alarms, faithfulness, promise
from convert.evaluation_choice import gather_mixtures
from convert.evaluation_simulated import SEEDS, simulated_sets
from convert.evaluation_systems import survey_of
from convert.pretrain_sounds import RATE_HZ
from edge.bundle import open_bundle
from edge.errors import EarpatchError
from edge.progress import track
from edge.recording import recording_info
from edge.scoring import score_recording

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from convert.evaluation_sets import EvaluationSet

CLIPS_A_FAULT = 2
ALARM_NORMAL_S, ALARM_LEVEL_DB = 600.0, 12.0


class SetFaithfulness(msgspec.Struct, frozen=True):
    """One set's row."""

    set: str
    anomalous: int
    found: faithfulness.Faithfulness | None


def promises_command(arguments: argparse.Namespace) -> int:
    """Print what is asked for."""
    if arguments.faithfulness:
        rows = report_faithfulness(arguments)
        _print(rows, faithfulness_table(rows), as_json=arguments.json)
    if arguments.alarms:
        found = report_alarms(arguments)
        _print(found, alarms.table(found), as_json=arguments.json)
    if arguments.promise_hours:
        kept = promise.measure(
            arguments.promise_machines,
            arguments.promise_hours,
            arguments.promise_minutes,
            arguments.promise_per_day,
        )
        _print(kept, promise.table(kept), as_json=arguments.json)
    return 0


def report_faithfulness(arguments: argparse.Namespace) -> list[SetFaithfulness]:
    """Replace the highlighted cells of every anomalous clip of simulated machines and mixtures."""
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        folder = Path(scratch)
        sets = simulated_sets(folder / "simulated", CLIPS_A_FAULT)
        if arguments.mixtures:
            sets += gather_mixtures(arguments, folder / "mixtures")
        if not sets:
            raise EarpatchError("--faithfulness found nothing to measure on")
        tracked = track(enumerate(sets), "Replacing cells", len(sets), "sets")
        return [_of_set(one, folder / f"set-{number}") for number, one in tracked]


def report_alarms(arguments: argparse.Namespace) -> list[alarms.Alarms]:
    """Calibrate for one false alarm a day, then count what is found, and what else is told."""
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        folder = Path(scratch)
        rows = [_simulated_alarms(folder / "simulated", arguments.alarms)]
        if arguments.mixtures:
            rows += _mixed_alarms(gather_mixtures(arguments, folder / "mixtures"), folder)
        return rows


def _simulated_alarms(folder: Path, faults: int) -> alarms.Alarms:
    outcomes = []
    for seed in track(SEEDS, "Listening to machines", len(SEEDS), "machines"):
        machine, place = Machine(seed, RATE_HZ), folder / str(seed)
        place.mkdir(parents=True)
        normal = place / "normal.wav"
        soundfile.write(normal, machine.normal(ALARM_NORMAL_S, 0), RATE_HZ, subtype="FLOAT")
        learn(place / "bundle", builtin_backbone(), survey_of([normal], place / "normal"))
        bundle = open_bundle(place / "bundle")
        outcomes += alarms.simulated_outcomes(bundle, machine, place, faults, ALARM_LEVEL_DB)
    sound_s = len(outcomes) * alarms.CLIP_S
    return alarms.row("simulated", outcomes, len(outcomes), sound_s)


def _mixed_alarms(sets: list[EvaluationSet], folder: Path) -> list[alarms.Alarms]:
    """Mixtures at 0 dB, the plain clips beside them; both halves of a background in one row."""
    outcomes: dict[str, list[alarms.Outcome]] = {}
    counts: dict[str, list[float]] = {}
    tracked = track(enumerate(sets), "Listening to mixtures", len(sets), "sets")
    for number, one in tracked:
        place = folder / f"alarms-{number}"
        learn(place / "bundle", builtin_backbone(), survey_of(one.normal, place / "normal"))
        clips = [c for c in one.clips if not c.anomalous or c.snr_db == 0.0]
        found = alarms.mixed_outcomes(open_bundle(place / "bundle"), clips)
        outcomes.setdefault(one.name, []).extend(found)
        faults, sound_s = counts.setdefault(one.name, [0, 0.0])
        faults += sum(clip.anomalous for clip in clips)
        sound_s += sum(recording_info(clip.path).duration_s for clip in clips)
        counts[one.name] = [faults, sound_s]
    return [
        alarms.row(f"{name}, 0 dB", found, int(counts[name][0]), counts[name][1])
        for name, found in outcomes.items()
    ]


def _of_set(one: EvaluationSet, folder: Path) -> SetFaithfulness:
    learn(folder / "bundle", builtin_backbone(), survey_of(one.normal, folder / "normal"))
    bundle = open_bundle(folder / "bundle")
    plain = [score_recording(bundle, c.path).verdict.score for c in one.clips if not c.anomalous]
    paths = [clip.path for clip in one.clips if clip.anomalous]
    found = faithfulness.measure(bundle, paths, float(np.median(plain)))
    return SetFaithfulness(one.name, len(paths), found)


def faithfulness_table(rows: Sequence[SetFaithfulness]) -> str:
    """As text: shares of the excess score that replacing cells takes away."""
    width = max(len("set"), *(len(row.set) for row in rows))
    lines = [f"{'set':{width}}  alarms  highlighted  random  loudest  alone an alarm"]
    for row in rows:
        counts = f"{row.found.clips if row.found else 0}/{row.anomalous}"
        line = f"{row.set:{width}}  {counts:>6}"
        if row.found:
            f = row.found
            line += f"  {f.highlighted_removes:11.3f}  {f.random_removes:6.3f}"
            line += f"  {f.loudest_removes:7.3f}  {f.alone_raise_alarm:14.3f}"
        lines.append(line)
    return "\n".join(lines)


def _print(rows: Sequence[msgspec.Struct], text: str, *, as_json: bool) -> None:
    print("\n".join(msgspec.json.encode(row).decode() for row in rows) if as_json else text)
