"""Measuring in child processes: a job as JSON on standard input, the answer on standard output.

Each child imports one peer, so that no peer's libraries or threads disturb another, and its memory
is its own: the kernel's high-water mark of that program.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Callable

TIMEOUT_S = 3_600.0
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
KIB_A_MB = 1_000_000 / 1_024


def ask(
    module: str, job: Any, *, threads: int = 1, timeout_s: float = TIMEOUT_S, python: str = ""
) -> Any:
    """Run `python -m module` on a job and return its answer.

    A module that ends with `.py` is run as a file, by an interpreter that may not have earpatch.

    Raises:
        EarpatchError: the child failed, with its last line, or took longer than `timeout_s`.
    """
    command = [python or sys.executable, *([] if module.endswith(".py") else ["-m"]), module]
    environment = os.environ | dict.fromkeys(THREAD_VARIABLES, str(threads))
    try:
        done = subprocess.run(
            command, input=msgspec.json.encode(job), capture_output=True, env=environment,
            timeout=timeout_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise EarpatchError(f"{module}: not done after {timeout_s:g} s") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise EarpatchError(f"{module}: ended with code {done.returncode}: {lines[-1]}")
    return msgspec.json.decode(done.stdout.splitlines()[-1])


def answer(work: Callable[[Any], Any]) -> None:
    """The child's side; what else is printed goes to standard error."""
    job = msgspec.json.decode(sys.stdin.buffer.read())
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with out:
        out.write(msgspec.json.encode(work(job)) + b"\n")


def memory_mb(field: str = "VmHWM", pid: int | str = "self") -> float:
    """Resident memory of a process, at its largest unless asked for `VmRSS`, in 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return round(kib / KIB_A_MB, 1)
