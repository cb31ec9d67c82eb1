"""The command `earpatch status`; imports are left to when it runs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from edge.status.snapshot import Snapshot

DEFAULT_CONFIG = Path("/etc/earpatch/earpatch.toml")
PLAIN_EVERY_S = 5.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    status = commands.add_parser("status", help="show a running node at a glance")
    status.add_argument(
        "--config", type=Path, default=DEFAULT_CONFIG, metavar="FILE",
        help=f"the node's settings, default {DEFAULT_CONFIG}",
    )  # fmt: skip
    status.add_argument("--once", action="store_true", help="a few lines, and end")
    status.add_argument("--json", action="store_true", help="one JSON object a line")
    status.set_defaults(handler=_status)


def _status(arguments: argparse.Namespace) -> int:
    from edge.settings import load_settings  # noqa: PLC0415
    from edge.status.client import NotRunningError, snapshots  # noqa: PLC0415
    from edge.status.snapshot import SOCKET_NAME  # noqa: PLC0415

    settings = load_settings(arguments.config)
    told = snapshots(Path(settings.node.state_dir, SOCKET_NAME))
    show = _shown_as(json=arguments.json, live=not arguments.once and sys.stdout.isatty())
    try:
        show(_first(told) if arguments.once else told)
    except KeyboardInterrupt:
        return 0
    if arguments.once:
        return 0
    raise NotRunningError(f"the node {settings.node.id} has ended")


def _first(told: Iterator[Snapshot]) -> Iterator[Snapshot]:
    from edge.status.client import NotRunningError  # noqa: PLC0415

    snapshot = next(told, None)
    if snapshot is None:
        raise NotRunningError("the node has just ended")
    yield snapshot


def _shown_as(*, json: bool, live: bool) -> Callable[[Iterator[Snapshot]], None]:
    if json:
        return _print_json
    return _refresh if live else _print_plain


def _print_json(told: Iterator[Snapshot]) -> None:
    import msgspec  # noqa: PLC0415

    for snapshot in told:
        print(msgspec.json.encode(snapshot).decode(), flush=True)


def _print_plain(told: Iterator[Snapshot]) -> None:
    from edge.status.text import plain_lines  # noqa: PLC0415

    next_s = float("-inf")
    for snapshot in told:
        if time.monotonic() >= next_s:
            next_s = time.monotonic() + PLAIN_EVERY_S
            print(*plain_lines(snapshot), sep="\n", flush=True)


def _refresh(told: Iterator[Snapshot]) -> None:
    from edge.status import terminal  # noqa: PLC0415
    from edge.status.screen import draw  # noqa: PLC0415

    first = next(told, None)  # before the screen changes: what fails is one plain line
    if first is None:
        return
    sys.stdout.write(terminal.ENTER)
    try:
        _write(draw(first, terminal.look_of(sys.stdout)))
        for snapshot in told:
            _write(draw(snapshot, terminal.look_of(sys.stdout)))
    finally:
        sys.stdout.write(terminal.LEAVE)
        sys.stdout.flush()


def _write(lines: list[str]) -> None:
    from edge.status.terminal import CLEAR_BELOW, CLEAR_LINE, HOME  # noqa: PLC0415

    sys.stdout.write(HOME + "".join(f"{line}{CLEAR_LINE}\r\n" for line in lines) + CLEAR_BELOW)
    sys.stdout.flush()
