"""The whole path, from capture to event: processor time by stage, memory, and the start."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from calibration.simulator import RATE_HZ
from convert.bench.children import ask
from convert.bench.figures import Figure, figure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from convert.bench.site import BenchSite

PATH, START = "path", "start"
REPEATS, QUICK_REPEATS = 7, 3
START_REPEATS, QUICK_START_REPEATS = 25, 5
CHILD_S = 60.0
RUNTIMES = {"tflite-runtime": "tflite_runtime", "litert": "ai_edge_litert"}
COMMANDS = {
    "python -c pass": ("-c", "pass"),
    "earpatch --help": ("-c", "from convert.main import main; main(['--help'])"),
}


def measure_path(site: BenchSite, *, quick: bool) -> Iterator[Figure]:
    """`run` on a recording as fast as it goes, events kept on disk, no broker.

    By stage with the runtime that a node would take; the whole of it with each that is here.
    """
    runs = _runs(site, "auto", quick=quick)
    for stage in runs[0]["stages_s"]:
        values = [1e3 * run["stages_s"][stage] / site.scored_s for run in runs]
        yield figure(PATH, stage, "processor time", "ms for each s of sound", values)
    yield from _whole("run", site, runs)
    for runtime, module in RUNTIMES.items():
        if find_spec(module) is not None:
            yield from _whole(f"run, {runtime}", site, _runs(site, runtime, quick=quick))


def measure_whole(site: BenchSite, *, quick: bool) -> Iterator[Figure]:
    """Processor time and memory of `run`, with the runtime that a node would take."""
    return _whole("run", site, _runs(site, "auto", quick=quick))


def _runs(site: BenchSite, runtime: str, *, quick: bool) -> list[dict[str, Any]]:
    configuration = site.played("fast", realtime=False, runtime=runtime)
    return [_run(configuration, site) for _ in range(QUICK_REPEATS if quick else REPEATS)]


def _whole(setting: str, site: BenchSite, runs: list[dict[str, Any]]) -> Iterator[Figure]:
    total = [1e3 * run["processor_s"] / site.scored_s for run in runs]
    yield figure(PATH, setting, "processor time", "ms for each s of sound", total)
    yield figure(PATH, setting, "peak resident memory", "MB", [run["peak_mb"] for run in runs])


def measure_start(site: BenchSite, *, quick: bool) -> Iterator[Figure]:
    """How long a person waits for the help, and a machine for its first scored window."""
    repeats = QUICK_START_REPEATS if quick else START_REPEATS
    walls: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(repeats):  # in turn: both find the same machine
        for name, arguments in COMMANDS.items():
            walls[name].append(_wall_s(arguments))
    for name, values in walls.items():
        yield figure(START, name, "wall time", "s", values)
    configuration = site.played("live", realtime=True)
    runs = [_run(configuration, site) for _ in range(QUICK_REPEATS if quick else REPEATS)]
    setting = "run, to its first scored window"
    waits = [run["first_s"] - run["heard_s"] for run in runs]
    yield figure(START, setting, "wall time beyond the sound", "s", waits)
    spent = [run["start_processor_s"] for run in runs]
    yield figure(START, setting, "processor time", "s", spent)


def _run(configuration: Path, site: BenchSite) -> dict[str, Any]:
    shutil.rmtree(site.folder / "state", ignore_errors=True)
    job = {"configuration": str(configuration), "spawned_s": time.monotonic(), "rate_hz": RATE_HZ}
    return dict(ask("convert.bench.path_child", job))


def _wall_s(arguments: tuple[str, ...]) -> float:
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL, timeout=CHILD_S
    )
    return time.perf_counter() - began
