"""The command `bench` and its options."""

from __future__ import annotations

import argparse
from pathlib import Path

SECTIONS = ("kernel", "path", "start", "calibration", "peers", "soak")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add it to the parser."""
    bench = commands.add_parser(
        "bench", help="measure speed and memory, beside peers on this machine (desktop)"
    )
    bench.add_argument(
        "--only", choices=SECTIONS, action="append", metavar="SECTION",
        help=f"one of {', '.join(SECTIONS)}; may be given again. All but soak unless",
    )  # fmt: skip
    bench.add_argument("--quick", action="store_true", help="fewer shapes, repeats and minutes")
    bench.add_argument(
        "--peers-python", type=Path, metavar="FILE",
        help="the interpreter of the environment that has anomalib; see 'make bench-peers'",
    )  # fmt: skip
    bench.add_argument("--hours", type=_hours, metavar="H", help="of the soak, default 24")
    bench.add_argument("--json", action="store_true", help="one JSON object a figure")
    bench.set_defaults(handler=_bench)


def _bench(arguments: argparse.Namespace) -> int:
    from convert.bench.bench import bench  # noqa: PLC0415

    return bench(arguments)


def _hours(text: str) -> float:
    hours = float(text)
    if not 0 < hours <= 1_000:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1000")
    return hours
