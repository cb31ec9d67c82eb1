"""`earpatch evaluate --latency` and `--quantisation`: reports on the int8 backbones themselves."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import soundfile

from calibration.backbones import builtin_backbone
from calibration.simulator import Machine
from calibration.survey import survey
from convert.build import MN04_FILE, STUDENT_WEIGHTS, build_backbone, representative_windows
from convert.download import file_sha256
from convert.evaluation_choice import gather_mixtures, teachers_in
from convert.evaluation_latency import REFERENCE, Latency, measure_latency
from convert.evaluation_quantisation import (
    Agreement,
    FloatStudent,
    mean_agreement,
    measure_agreement,
)
from convert.evaluation_report import agreement_table, latency_table
from convert.evaluation_sets import Clip, EvaluationSet
from convert.make_builtin import simulate
from edge.errors import EarpatchError, RecordingError
from edge.progress import track
from edge.recording import find_recordings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from calibration.survey import Survey

MACHINE_SEED, MACHINE_S = 5, 12.0


def report_command(arguments: argparse.Namespace) -> int:
    """Print what is asked for, instead of the table of systems."""
    _check(arguments)
    if arguments.latency:
        latencies = report_latency(arguments.weights)
        _print(latencies, latency_table(latencies), as_json=arguments.json)
    if arguments.quantisation is not None:
        agreements = report_quantisation(arguments)
        _print(agreements, agreement_table(agreements), as_json=arguments.json)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.plot:
        raise EarpatchError("--plot draws the table of systems: leave it out here")
    if arguments.latency and arguments.weights:
        teachers_in(arguments.weights)
    if arguments.quantisation is None:
        return
    if arguments.quantisation is True and not arguments.mixtures:
        raise EarpatchError("--quantisation needs a folder of recordings, or --mixtures")
    if builtin_backbone().backbone.info.weights_sha256 != file_sha256(STUDENT_WEIGHTS):
        raise EarpatchError(
            f"the built-in backbone was not made from {STUDENT_WEIGHTS}, so there is nothing to "
            "compare it with: make it again with 'make builtin'"
        )


def _print(rows: Sequence[msgspec.Struct], text: str, *, as_json: bool) -> None:
    if as_json:
        text = "\n".join(msgspec.json.encode(row).decode() for row in rows)
    print(text)


def report_latency(weights: Path | None) -> list[Latency]:
    """The built-in backbone, and mn04 where its weights are given."""
    backbones = {"builtin": builtin_backbone().backbone}
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        heard = _machine(Path(scratch))
        if weights is not None and (weights / MN04_FILE).is_file():
            backbones[REFERENCE] = build_backbone("mn04", weights / MN04_FILE, heard).backbone
        normal, _ = representative_windows(heard)
    return measure_latency(backbones, normal)


def _machine(folder: Path) -> Survey:
    machine = Machine(MACHINE_SEED)
    soundfile.write(folder / "machine.wav", machine.normal(MACHINE_S, 0), machine.rate_hz)
    return survey(folder, accept=True)


def report_quantisation(arguments: argparse.Namespace) -> list[Agreement]:
    """The built-in backbone against its float weights, on recordings, mixtures or both."""
    with tempfile.TemporaryDirectory(prefix="earpatch-evaluate-") as scratch:
        folder = Path(scratch)
        sets = []
        if arguments.quantisation is not True:
            sets.append(halves_of(arguments.quantisation))
        if arguments.mixtures:
            sets += gather_mixtures(arguments, folder / "mixtures")
        (folder / "simulated").mkdir()
        windows = representative_windows(simulate(folder / "simulated"))
        student = FloatStudent(STUDENT_WEIGHTS, windows, folder / "float")
        source = builtin_backbone()
        tracked = track(enumerate(sets), "Comparing int8 with float", len(sets), "sets")
        found = [measure_agreement(s, source, student, folder / f"set-{n}") for n, s in tracked]
    return mean_agreement(found)


def halves_of(recordings: Path) -> EvaluationSet:
    """A folder as a set: the first half, by name, is learnt; the rest are the other sounds.

    Raises:
        RecordingError: there are too few.
    """
    paths = find_recordings(recordings)
    half = len(paths) // 2
    if half == 0:
        raise RecordingError(f"{recordings}: one recording can't be both normal and another sound")
    others = [Clip(path, anomalous=False) for path in paths[half:]]
    return EvaluationSet(recordings.name or str(recordings), paths[:half], others)
