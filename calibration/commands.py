"""The commands of field calibration: `calibrate` and `explain`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge.commands import RUNTIMES

if TYPE_CHECKING:
    from calibration.learn import BankLimits, Learnt
    from calibration.survey import Survey

SCANTY_HELD_OUT_S = 60.0
COLUMN_S, DAY_S = 0.08, 86_400.0
MIN_RATE, MAX_RATE = 0.001, 10_000.0
DEFAULT_BANK_ROWS, DEFAULT_BANK_BYTES = 2_000, 512 * 1024


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this package's commands to the parser."""
    calibrate = commands.add_parser(
        "calibrate", help="learn this site's normal sound (on the node, no TensorFlow)"
    )
    calibrate.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="a new one starts from the built-in backbone"
    )
    add_normal_options(calibrate)
    calibrate.add_argument(
        "--add", action="store_true",
        help="another operating state: what the bundle was taught before still holds",
    )  # fmt: skip
    kept = calibrate.add_mutually_exclusive_group()
    kept.add_argument(
        "--report", type=Path, metavar="FILE.html",
        help="where the report goes, default BUNDLE-report.html beside the bundle",
    )  # fmt: skip
    kept.add_argument("--no-report", action="store_true", help="write no report")
    calibrate.set_defaults(handler=_calibrate)

    explain = commands.add_parser("explain", help="show why a recording is an alarm, or is none")
    explain.add_argument("bundle", type=Path, metavar="BUNDLE")
    explain.add_argument("file", type=Path, metavar="FILE", help="WAV, FLAC or OGG")
    explain.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR",
        help="where <stem>.html and <stem>.png go, default here",
    )  # fmt: skip
    explain.add_argument("--runtime", choices=RUNTIMES, default="auto", help="TFLite runtime")
    explain.set_defaults(handler=_explain)


def add_normal_options(parser: argparse.ArgumentParser) -> None:
    """The options of every command that learns normal sound."""
    parser.add_argument(
        "--normal", type=Path, required=True, metavar="DIR", help="recordings of normal sound"
    )
    parser.add_argument(
        "--bank-rows", type=_positive, default=DEFAULT_BANK_ROWS, metavar="N",
        help=f"most rows in the memory bank, default {DEFAULT_BANK_ROWS}",
    )  # fmt: skip
    parser.add_argument(
        "--bank-bytes", type=_positive, default=DEFAULT_BANK_BYTES, metavar="N",
        help=f"most bytes in the memory bank, default {DEFAULT_BANK_BYTES}",
    )  # fmt: skip
    parser.add_argument(
        "--false-alarms-per-day", type=_rate_per_day, default=1.0, metavar="X",
        help="how often normal sound may raise an alarm, default 1",
    )  # fmt: skip
    parser.add_argument(
        "--accept-all", action="store_true",
        help="learn what the quality check would refuse, such as two regimes; not silence",
    )  # fmt: skip
    parser.add_argument("--runtime", choices=RUNTIMES, default="auto", help="TFLite runtime")


def bank_limits(arguments: argparse.Namespace) -> BankLimits:
    """The bank's bounds from the options."""
    from calibration.learn import BankLimits  # noqa: PLC0415

    return BankLimits(arguments.bank_rows, arguments.bank_bytes)


def print_notes(heard: Survey) -> None:
    """What was found in the sound, on stderr, a line each."""
    for note in [*heard.notes, *(finding.line for finding in heard.quality.findings)]:
        print(f"earpatch: {note}", file=sys.stderr)
    if heard.quality.left_out:
        print(f"earpatch: {heard.quality.remaining_s:.0f} s remain", file=sys.stderr)


def report(path: Path, learnt: Learnt) -> None:
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
        f"  backbone {manifest.backbone.name}, {manifest.runtime.name} {manifest.runtime.version}"
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


def _calibrate(arguments: argparse.Namespace) -> int:
    from calibration.backbones import builtin_backbone, source_of_bundle  # noqa: PLC0415
    from calibration.learn import learn  # noqa: PLC0415
    from calibration.lessons import earlier_lessons, together  # noqa: PLC0415
    from calibration.phrases import printable  # noqa: PLC0415
    from calibration.report import (  # noqa: PLC0415
        check_report_target,
        default_report,
        write_report,
    )
    from calibration.survey import survey  # noqa: PLC0415
    from edge.bundle import read_manifest  # noqa: PLC0415
    from edge.bundle_store import check_target, current_version, holds_bundle  # noqa: PLC0415
    from edge.errors import BundleError, EarpatchError  # noqa: PLC0415

    check_target(arguments.bundle)
    if arguments.add and not holds_bundle(arguments.bundle):
        raise EarpatchError(
            f"{arguments.bundle}: no bundle to add to; teach it without --add first"
        )
    report_path = arguments.report or default_report(arguments.bundle)
    check_report_target(report_path, arguments.bundle)
    source = None
    if holds_bundle(arguments.bundle):
        try:
            source = source_of_bundle(arguments.bundle, runtime=arguments.runtime)
        except BundleError as error:
            if arguments.add:
                raise
            print(f"earpatch: {error}", file=sys.stderr)
            print("earpatch: starting anew from the built-in backbone", file=sys.stderr)
    if source is None:
        source = builtin_backbone(runtime=arguments.runtime)
    heard = survey(arguments.normal, accept=arguments.accept_all)
    if arguments.add:
        taught = read_manifest(current_version(arguments.bundle)).recordings
        heard = together([*earlier_lessons(taught), heard])
    print_notes(heard)
    learnt = learn(
        arguments.bundle,
        source,
        heard,
        bank_limits(arguments),
        false_alarms_per_day=arguments.false_alarms_per_day,
    )
    report(arguments.bundle, learnt)
    if not arguments.no_report:
        try:
            write_report(report_path, arguments.bundle, learnt)
            print(f"  report: {printable(report_path)}")
        except EarpatchError as error:  # the calibration stands
            print(f"earpatch: no report: {printable(error)}", file=sys.stderr)
    return 0


def _explain(arguments: argparse.Namespace) -> int:
    from calibration.explain import explain  # noqa: PLC0415
    from calibration.phrases import printable  # noqa: PLC0415
    from edge.bundle import open_bundle  # noqa: PLC0415

    bundle = open_bundle(arguments.bundle, runtime=arguments.runtime)
    explained = explain(bundle, arguments.file, arguments.output)
    if explained.note:
        print(f"earpatch: {printable(arguments.file)}: {explained.note}", file=sys.stderr)
    print(printable(explained.page))
    print(printable(explained.picture))
    learnt_s = sum(recording.duration_s for recording in bundle.manifest.recordings)
    for number, event in enumerate(explained.events, 1):
        when = f"{event.start_s:.2f}-{event.end_s:.2f} s  score {event.score:.2f}"
        print(f"  {number}. {when}  {event.summary(learnt_s)}")
    if not explained.events:
        print("  normal: nothing in it reaches the alarm level")
    return 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _rate_per_day(text: str) -> float:
    number = float(text)
    if not MIN_RATE <= number <= MAX_RATE:
        raise argparse.ArgumentTypeError(f"{text} is not between {MIN_RATE:g} and {MAX_RATE:g}")
    return number


def count(text: str) -> int:
    """A whole number from 0 on, for argparse."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is negative")
    return number
