"""The commands of the desktop: `convert` and `demo`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.commands import add_normal_options, bank_limits, report

if TYPE_CHECKING:
    import argparse

BACKBONES = ("mn04", "mobilenet_v2", "random")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add this package's commands to the parser."""
    convert = commands.add_parser(
        "convert", help="quantise a backbone and learn normal sound (desktop, TensorFlow)"
    )
    convert.add_argument("bundle", type=Path, metavar="BUNDLE")
    convert.add_argument("--backbone", choices=BACKBONES, required=True)
    convert.add_argument(
        "--weights", type=Path, metavar="FILE", help="use these weights instead of downloading"
    )
    add_normal_options(convert)
    convert.set_defaults(handler=_convert)

    demo = commands.add_parser("demo", help="the product in a minute, on a simulated machine")
    demo.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="DIR",
        help="default demo-output",
    )
    demo.add_argument("--seed", type=int, default=1, help="another machine, other faults")
    demo.set_defaults(handler=_demo)


def _convert(arguments: argparse.Namespace) -> int:
    from calibration.learn import learn  # noqa: PLC0415
    from calibration.survey import survey  # noqa: PLC0415
    from convert.build import build_backbone  # noqa: PLC0415

    heard = survey(arguments.normal)
    for note in heard.notes:
        print(f"earpatch: {note}", file=sys.stderr)
    source = build_backbone(arguments.backbone, arguments.weights, heard, runtime=arguments.runtime)
    report(arguments.bundle, learn(arguments.bundle, source, heard, bank_limits(arguments)))
    return 0


def _demo(arguments: argparse.Namespace) -> int:
    from convert.demo import run_demo  # noqa: PLC0415

    return run_demo(arguments.output, arguments.seed)
