"""`earpatch calibrate`: listen or read, look, learn, and say what came of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from calibration.backbones import builtin_backbone, source_of_bundle
from calibration.learn import BankLimits, learn
from calibration.lessons import earlier_lessons, together
from calibration.phrases import printable
from calibration.report import check_report_target, default_report, write_report
from calibration.survey import survey
from edge.bundle import read_manifest
from edge.bundle_store import check_target, current_version, holds_bundle
from edge.errors import BundleError, EarpatchError

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from calibration.backbones import BackboneSource
    from calibration.learn import Learnt
    from calibration.survey import Survey
    from edge.bundle import Manifest
    from edge.capture.settings import LivenessSettings, MicrophoneSource

SCANTY_HELD_OUT_S = 60.0
COLUMN_S, DAY_S = 0.08, 86_400.0


class Heard(NamedTuple):
    """Normal sound, and the microphone that it came from where that is known."""

    survey: Survey
    microphone: str


def calibrate(arguments: argparse.Namespace) -> None:
    """Do what the command line asks for.

    Raises:
        EarpatchError: sound, bundle or report can't be used; what was recorded stays.
    """
    path = arguments.bundle
    check_target(path)
    if arguments.add and not holds_bundle(path):
        raise EarpatchError(f"{path}: no bundle to add to; teach it without --add first")
    report_path = arguments.report or default_report(path)
    check_report_target(report_path, path)
    source = _backbone(path, arguments)
    heard = _hear(arguments, read_manifest(current_version(path)) if arguments.add else None)
    print_notes(heard.survey)
    learnt = learn(
        path,
        source,
        heard.survey,
        bank_limits(arguments),
        false_alarms_per_day=arguments.false_alarms_per_day,
        microphone=heard.microphone,
    )
    tell(path, learnt)
    if not arguments.no_report:
        try:
            write_report(report_path, path, learnt)
            print(f"  report: {printable(report_path)}")
        except EarpatchError as error:  # the calibration stands
            print(f"earpatch: no report: {printable(error)}", file=sys.stderr)


def _backbone(path: Path, arguments: argparse.Namespace) -> BackboneSource:
    """The bundle's own; where that is damaged or there is none, the built-in one."""
    if holds_bundle(path):
        try:
            return source_of_bundle(path, runtime=arguments.runtime, kernels=arguments.kernels)
        except BundleError as error:
            if arguments.add:
                raise
            print(f"earpatch: {error}", file=sys.stderr)
            print("earpatch: starting anew from the built-in backbone", file=sys.stderr)
    return builtin_backbone(runtime=arguments.runtime, kernels=arguments.kernels or "auto")


def _hear(arguments: argparse.Namespace, taught: Manifest | None) -> Heard:
    """The new sound, behind what the bundle was taught before."""
    microphone = arguments.microphone
    folder = arguments.normal
    if folder is None:
        folder, microphone = _record(arguments, taught)
    new = survey(folder, accept=arguments.accept_all)
    if taught is None:
        return Heard(new, microphone)
    return Heard(
        together([*earlier_lessons(taught.recordings), new]), microphone or taught.microphone
    )


def _record(arguments: argparse.Namespace, taught: Manifest | None) -> tuple[Path, str]:
    from calibration.record import record  # noqa: PLC0415

    source, liveness = _microphone(arguments)
    folder = arguments.recordings or default_recordings(arguments.bundle)
    recorded = record(source, liveness, arguments.seconds, folder.absolute())
    print(
        f"recorded {recorded.duration_s:.0f} s from {recorded.microphone}, "
        f"kept in {printable(recorded.folder)}"
    )
    if taught is not None and taught.microphone not in {"", recorded.microphone}:
        raise EarpatchError(
            f"{arguments.bundle}: was taught with the microphone {taught.microphone}, and this is "
            f"{recorded.microphone}. Calibrate all operating states anew, the first without --add"
        )
    return recorded.folder, recorded.microphone


def _microphone(arguments: argparse.Namespace) -> tuple[MicrophoneSource, LivenessSettings]:
    from edge.capture.settings import LivenessSettings, MicrophoneSource  # noqa: PLC0415
    from edge.settings import load_settings  # noqa: PLC0415

    if arguments.config is None:
        return MicrophoneSource(device=arguments.device), LivenessSettings()
    settings = load_settings(arguments.config)
    inputs = {each.name: each for each in settings.all_inputs()}
    name = arguments.input or next(iter(inputs))
    if name not in inputs or (len(inputs) > 1 and not arguments.input):
        raise EarpatchError(f"{arguments.config}: --input must be one of {', '.join(inputs)}")
    source = inputs[name].source
    if not isinstance(source, MicrophoneSource):
        raise EarpatchError(f"{arguments.config}: the input {name} is not a microphone")
    return source, settings.liveness


def default_recordings(bundle: Path) -> Path:
    """Where recordings for a bundle are kept."""
    return bundle.with_name(f"{bundle.absolute().name}-recordings")


def bank_limits(arguments: argparse.Namespace) -> BankLimits:
    """The bank's bounds from the options."""
    return BankLimits(arguments.bank_rows, arguments.bank_bytes)


def print_notes(heard: Survey) -> None:
    """What was found in the sound, on stderr, a line each."""
    for note in [*heard.notes, *(finding.line for finding in heard.quality.findings)]:
        print(f"earpatch: {note}", file=sys.stderr)
    if heard.quality.left_out:
        print(f"earpatch: {heard.quality.remaining_s:.0f} s remain", file=sys.stderr)


def tell(path: Path, learnt: Learnt) -> None:
    """Tell what was learnt, and what it promises."""
    manifest = learnt.manifest
    bank, limits = manifest.bank, manifest.thresholds
    total_s = sum(recording.duration_s for recording in manifest.recordings)
    scales = ", ".join(
        f"{s.columns * COLUMN_S:.3g}" for s in limits.scales if s.against == "normal"
    )
    print(
        f"{path}: bundle {manifest.bundle_id}\n"
        f"  learnt from {len(manifest.recordings)} recordings, {total_s:.0f} s, "
        f"up to {manifest.limit_hz:.0f} Hz, gain {manifest.front_end.gain_db:+.1f} dB\n"
        f"  bank of {bank.rows} embeddings chosen from {bank.chosen_from_cells}\n"
        f"  compares each moment with the seconds around it, {_lasting(scales)}\n"
        f"{_promised(learnt)}\n"
        f"  backbone {manifest.backbone.name}, {manifest.runtime}"
    )
    if limits.held_out_s < SCANTY_HELD_OUT_S:
        print(
            "  NOTE: that is little. Expect false alarms until it was calibrated with ten minutes"
        )
    if manifest.previous_id:
        print(f"  the version before, {manifest.previous_id}, is kept in {path / 'versions'}")


def _lasting(scales: str) -> str:
    if "," in scales:
        return f"and {scales} s with all normal sound"
    return "and with all normal sound; weak deviations that last need 90 s to be learnt"


def _promised(learnt: Learnt) -> str:
    """The promise, what it rests on, and what came of it in sound that was kept aside."""
    limits, promise = learnt.manifest.thresholds, learnt.promise
    lines = [
        f"  promise: {limits.false_alarms_per_day:g} false alarms a day; measured on "
        f"{limits.held_out_s:.0f} s held out in turn, {promise.samples} independent samples"
    ]
    if promise.extrapolated:
        lines.append(
            f"  EXTRAPOLATED beyond what was heard: between {promise.low:.2g} and "
            f"{promise.high:.2g} a day with 90 % confidence. More normal sound narrows this"
        )
    if learnt.checked_s:
        lines.append(
            f"  check: {learnt.alarms_in_check} alarms in the last {learnt.checked_s:.0f} s, "
            f"of which nothing was learnt ({_rate(learnt)})"
        )
    return "\n".join(lines)


def _rate(learnt: Learnt) -> str:
    """The achieved rate; with no alarm at all, the most that it can be (95 %, rule of three)."""
    days = learnt.checked_s / DAY_S
    if learnt.alarms_in_check:
        return f"{learnt.alarms_in_check / days:.3g} a day"
    return f"so fewer than {3 / days:.3g} a day"
