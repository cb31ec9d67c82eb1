"""Child processes in which TensorFlow works: `python -m MODULE FOLDER`.

TensorFlow's hundreds of log lines stay in a file, its memory is given back, and tflite-runtime,
which can't load a model in a process that has imported TensorFlow, can be used afterwards.

The folder holds what the child is to do, and gets what it made, or the reason why there is nothing.
On its standard output the child says how many steps it is done with, a number a line.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Tell = Callable[[int], object]

TIMEOUT_S = 1_800.0
ERROR_FILE, LOG_FILE = "error.txt", "log.txt"


def run_child(
    module: str,
    folder: Path,
    *,
    steps: int,
    description: str,
    unit: str,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Run the child, show its progress, and turn its failure into one line.

    Raises:
        EarpatchError: what the child could not do.
    """
    command = [sys.executable, "-m", module, str(folder)]
    with (
        (folder / LOG_FILE).open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as child,
        bar(description, steps, unit) as progress,
    ):
        deadline = threading.Timer(timeout_s, child.kill)
        deadline.start()
        try:
            assert child.stdout is not None  # noqa: S101
            for line in child.stdout:
                progress.update(max(0, min(steps, int(line)) - progress.n))
            child.wait()
        finally:
            deadline.cancel()
            child.kill()
    if child.returncode == 0:
        return
    if (folder / ERROR_FILE).is_file():
        raise EarpatchError((folder / ERROR_FILE).read_text())
    lines = (folder / LOG_FILE).read_text(errors="replace").strip().splitlines() or ["no output"]
    raise EarpatchError(f"TensorFlow ended with code {child.returncode}: {lines[-1]}")


def serve(folder: Path, work: Callable[[Path, Tell], None]) -> int:
    """The child's side: do the work, and leave the reason where it can't be done."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    progress = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever TensorFlow prints goes to the log
    try:
        work(folder, lambda done: progress.write(f"{done}\n"))
    except EarpatchError as error:
        (folder / ERROR_FILE).write_text(str(error))
        return error.exit_code
    return 0
