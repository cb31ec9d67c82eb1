"""Runs `edge.doctor.probe` in a process of its own, which may crash or hang without harm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

COMMAND = (sys.executable, "-m", "edge.doctor.probe")
MARK = "earpatch "


@dataclass(frozen=True)
class Probed:
    """What a child said, and how it ended."""

    found: dict[str, dict[str, Any]] = field(default_factory=dict)  # by step
    at: str | None = None  # the step at which it died; None if it went well
    death: str = ""  # how
    last_words: str = ""  # on its standard error
    signal: int | None = None


def probe(task: str, within_s: float, **arguments: object) -> Probed:
    """Run one task to its end, for so long at most.

    Args:
        task: a function of `edge.doctor.probe`.
        within_s: after which it is killed.
        arguments: of the task, as JSON has them.
    """
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    try:
        done = subprocess.run(
            [*COMMAND, task, str(round(within_s)), json.dumps(arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=within_s, check=False,
            env=environment,
        )  # fmt: skip
    except subprocess.TimeoutExpired as late:
        told = _told(late.stdout or b"")
        return Probed(told[0], told[1] or task, f"no answer within {within_s:g} s")
    except OSError as error:
        return Probed(at=task, death=f"can't be started: {error.strerror}")
    found, begun = _told(done.stdout)
    if done.returncode == 0:
        return Probed(found)
    number = -done.returncode if done.returncode < 0 else None
    death = f"killed by {_signal_name(number)}" if number else f"exit code {done.returncode}"
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    return Probed(found, begun or task, death, lines[-1] if lines else "", number)


def _told(output: bytes) -> tuple[dict[str, dict[str, Any]], str | None]:
    """What was found by each step, and the step that was begun and not ended."""
    found: dict[str, dict[str, Any]] = {}
    begun: str | None = None
    for line in output.decode(errors="replace").splitlines():
        if not line.startswith(MARK):
            continue
        try:
            told = json.loads(line[len(MARK) :])
        except ValueError:  # cut short by its death
            continue
        if "begun" in told:
            begun = told["begun"]
        else:
            found[told.pop("step")] = told
            begun = None
    return found, begun


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
