"""The command `earpatch doctor`; imports are left to when it runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DEFAULT_CONFIG = Path("/etc/earpatch/earpatch.toml")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    doctor = commands.add_parser("doctor", help="check everything that a node depends on")
    doctor.add_argument(
        "--config", type=Path, metavar="FILE",
        help=f"the node's settings, default {DEFAULT_CONFIG} if there is one",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="one JSON object at the end")
    doctor.set_defaults(handler=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    from edge.doctor.check import Visit  # noqa: PLC0415
    from edge.doctor.report import exit_code, json_of, line_of, summary_of  # noqa: PLC0415
    from edge.doctor.run import examine  # noqa: PLC0415

    given = arguments.config or (DEFAULT_CONFIG if DEFAULT_CONFIG.exists() else None)
    config = given.absolute() if given else None
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    _quieten()
    found = []
    for check in examine(Visit(config)):
        found.append(check)
        if not arguments.json:
            print(line_of(check, coloured=coloured), flush=True)
    print(json_of(found, config) if arguments.json else summary_of(found), flush=True)
    return exit_code(found)


def _quieten() -> None:
    """What the node's parts log is said by the checks."""
    import logging  # noqa: PLC0415

    logging.disable(logging.CRITICAL)
