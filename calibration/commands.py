"""The commands of field calibration: `calibrate`, `explain` and `setup`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from edge.commands import KERNELS, RUNTIMES

SHORTEST_S, LONGEST_S = 10.0, 86_400.0
MIN_RATE, MAX_RATE = 0.001, 10_000.0
DEFAULT_CONFIG = Path("/etc/earpatch/earpatch.toml")
DEFAULT_BANK_ROWS, DEFAULT_BANK_BYTES = 2_000, 512 * 1024


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this package's commands to the parser."""
    calibrate = commands.add_parser(
        "calibrate", help="learn this site's normal sound (on the node, no TensorFlow)"
    )
    calibrate.add_argument(
        "bundle", type=Path, metavar="BUNDLE", help="a new one starts from the built-in backbone"
    )
    add_normal_options(calibrate, microphone=True)
    calibrate.add_argument(
        "--add", action="store_true",
        help="another operating state: what the bundle was taught before still holds",
    )  # fmt: skip
    calibrate.add_argument(
        "--kernels", choices=KERNELS,
        help="of the runtime, and of every node with this bundle; default the bundle's own, of a "
        "new one the fastest. Reference kernels are slower, and round alike everywhere",
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

    setup = commands.add_parser("setup", help="ask what a node has to know, and set it up")
    setup.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE",
        help=f"what is written, default {DEFAULT_CONFIG}",
    )  # fmt: skip
    setup.add_argument(
        "--answers", type=Path, metavar="FILE", help="ask nothing: TOML, see docs/install.md"
    )
    setup.set_defaults(handler=_setup)


def add_normal_options(parser: argparse.ArgumentParser, *, microphone: bool = False) -> None:
    """The options of every command that learns normal sound, on a node from a microphone too."""
    sound = parser.add_mutually_exclusive_group(required=True)
    sound.add_argument("--normal", type=Path, metavar="DIR", help="recordings of normal sound")
    if microphone:
        sound.add_argument(
            "--seconds", type=_duration, metavar="S", help="record so much from a microphone now"
        )
        _add_microphone_options(parser)
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


def _calibrate(arguments: argparse.Namespace) -> int:
    from calibration.calibrate import calibrate  # noqa: PLC0415

    calibrate(arguments)
    return 0


def _setup(arguments: argparse.Namespace) -> int:
    from calibration.setup.command import setup  # noqa: PLC0415

    setup(arguments)
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


def _add_microphone_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="", metavar="DEVICE",
        help="the microphone, as 'earpatch devices' writes it; the first that can record unless",
    )  # fmt: skip
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="take the microphone from the node's settings"
    )
    parser.add_argument("--input", metavar="NAME", help="which of the [[inputs]] in --config")
    parser.add_argument(
        "--microphone", default="", metavar="NAME",
        help="what recorded the sound in --normal; the bundle remembers it",
    )  # fmt: skip
    parser.add_argument(
        "--recordings", type=Path, metavar="DIR",
        help="where the recording is kept, default BUNDLE-recordings beside the bundle",
    )  # fmt: skip


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not a positive number")
    return number


def _duration(text: str) -> float:
    seconds = float(text)
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"{text} is not between {SHORTEST_S:g} and {LONGEST_S:g}")
    return seconds


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
