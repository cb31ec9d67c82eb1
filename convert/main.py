"""The command `earpatch`: every package adds its own commands, and imports nothing until one runs.

It lives here because imports point one way, edge <- calibration <- convert, and only this package
may know all three.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

import calibration.commands
import convert.commands
import edge.commands
from edge import __version__
from edge.errors import EarpatchError
from edge.journal import complain, log_to_stderr
from edge.quiet import Thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

INTERRUPTED_EXIT_CODE = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; a person's mistake is one line on stderr and exit code 2."""
    # One BLAS thread: the products are small, and a node's other cores have other work.
    # It has to be set before numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    arguments = _parser().parse_args(argv)
    log_to_stderr(Thinned())
    try:
        return int(arguments.handler(arguments))
    except EarpatchError as error:
        complain(str(error))
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no permission, no space: the system's words, and where
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror or error}")
        return EarpatchError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT_CODE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="earpatch",
        description="Listens to a machine and says when and at which frequency it sounds wrong.",
    )
    parser.add_argument("--version", action="version", version=f"earpatch {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for package in (edge, calibration, convert):
        package.commands.add_commands(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
