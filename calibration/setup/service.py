"""The commands that setup gives: shown before they run, for who wants to give them himself."""

from __future__ import annotations

import os
import pwd
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.setup.answers import SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from calibration.setup.answers import Answers

CONFIGURATIONS = Path("/etc/earpatch")
USER = OWN = "earpatch"
BOOTED = Path("/run/systemd/system")
SYSTEMCTL_S = 300.0
CALIBRATION_SPARE_S = 1_800.0  # for learning what was recorded


def unit_of(config: Path) -> str | None:
    """The unit that runs a configuration; None for one elsewhere than in /etc/earpatch."""
    if config.parent != CONFIGURATIONS or config.suffix != ".toml":
        return None
    return "earpatch.service" if config.stem == OWN else f"earpatch@{config.stem}.service"


def commands(answers: Answers, config: Path, bundle: Path, *, learnt: bool) -> list[list[str]]:
    """What is left to do once the configuration is written, in its order.

    Args:
        answers: what setup was told.
        config: the configuration.
        bundle: where it says that the bundle is.
        learnt: whether a bundle is there.
    """
    unit, todo = unit_of(config), []
    if answers.calibrate_s:
        if unit:
            todo.append(["systemctl", "stop", unit])  # a card can be opened once
        calibrate = ["earpatch", "calibrate", str(bundle), "--seconds", f"{answers.calibrate_s:g}"]
        calibrate += ["--config", str(config)]
        todo.append([*as_user(), *calibrate])
    if answers.start and unit and (learnt or answers.calibrate_s):
        todo += [["systemctl", "enable", unit], ["systemctl", "restart", unit]]
    return todo


def as_user() -> list[str]:
    """What the node writes must be the node's own."""
    if os.geteuid() != 0 or not has_user():
        return []
    return ["runuser", "-u", USER, "--"]


def has_user() -> bool:
    """Whether the node's user is here."""
    try:
        pwd.getpwnam(USER)
    except KeyError:
        return False
    return True


def run_all(todo: list[list[str]], say: Callable[[str], None], answers: Answers) -> None:
    """Show and run each; the first that fails ends it.

    Raises:
        SetupError: one failed; says which, and what was not done.
    """
    for number, command in enumerate(todo):
        say(f"$ {shlex.join(command)}")
        if command[0] == "systemctl" and not BOOTED.exists():
            say("  left out: no systemd runs here")
            continue
        within_s = SYSTEMCTL_S
        if "calibrate" in command:
            within_s += answers.calibrate_s + CALIBRATION_SPARE_S
        if (reason := _run(here(command), within_s)) is not None:
            left = "".join(f"\n  {shlex.join(each)}" for each in todo[number:])
            raise SetupError(f"{reason}. The configuration is written; still to do:{left}")


def here(command: list[str]) -> list[str]:
    """`earpatch` is this very program, whatever the PATH says; the user of that name stays."""
    place = command.index("--") + 1 if "--" in command else 0
    if command[place] != OWN:
        return command
    return [*command[:place], sys.executable, "-m", "convert.main", *command[place + 1 :]]


def _run(command: list[str], within_s: float) -> str | None:
    try:
        done = subprocess.run(command, check=False, timeout=within_s)
    except OSError as error:
        return f"{command[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"{command[0]} took longer than {within_s:.0f} s"
    return f"that failed (exit code {done.returncode})" if done.returncode else None
