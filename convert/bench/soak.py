"""A day of sound, as fast as it goes: whether the memory of `earpatch run` stays flat.

The sound is raw PCM on the node's standard input; there is no broker, so events gather on disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import TYPE_CHECKING

import numpy as np

from calibration.simulator import RATE_HZ
from convert.bench.children import memory_mb
from convert.bench.figures import Figure, figure
from convert.bench.site import TAKE_S, BenchSite
from edge.errors import EarpatchError
from edge.progress import bar

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTION = "soak"
HOURS, QUICK_HOURS = 24.0, 0.5
WARM_UP = 0.2  # of all the sound
DIFFERENT_MINUTES = 10
SOURCE = f'kind = "stdin"\nrate_hz = {RATE_HZ}'
CHILD_S = 120.0
FULL_SCALE = 32_767


def measure(site: BenchSite, *, quick: bool, hours: float | None = None) -> Iterator[Figure]:
    """Resident memory after each minute of sound, and how it grows after the warm-up.

    Raises:
        EarpatchError: the node ended before its sound did.
    """
    hours = hours or (QUICK_HOURS if quick else HOURS)
    shutil.rmtree(site.folder / "state", ignore_errors=True)
    configuration = site.configuration("soak", SOURCE)
    command = [sys.executable, "-m", "convert.main", "run", "--config", str(configuration)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log, env=environment) as node,
    ):
        try:
            resident_mb = list(_feed(node, _minutes(site), round(hours * 60)))
        except BrokenPipeError:
            raise EarpatchError("the node ended before its sound did") from None
        finally:
            assert node.stdin is not None  # noqa: S101
            node.stdin.close()
            try:
                node.wait(timeout=CHILD_S)
            finally:
                node.kill()
    after = np.asarray(resident_mb[round(WARM_UP * len(resident_mb)) :])
    slope = float(np.polyfit(np.arange(len(after)) / 60.0, after, 1)[0])
    setting = f"run, {hours:g} hours of sound"
    yield figure(SECTION, setting, "resident memory", "MB", list(after))
    yield figure(SECTION, setting, "largest", "MB", [max(resident_mb)])
    yield figure(SECTION, setting, "slope after the first fifth", "MB an hour", [slope])


def _minutes(site: BenchSite) -> list[bytes]:
    """Minutes of 16-bit sound, the last one with faults."""
    minutes = [site.normal(1_000 + number) for number in range(DIFFERENT_MINUTES - 1)]
    minutes.append(site.faulty())
    return [np.rint(m.clip(-1, 1) * FULL_SCALE).astype("<i2").tobytes() for m in minutes]


def _feed(node: subprocess.Popen[bytes], minutes: list[bytes], count: int) -> Iterator[float]:
    assert node.stdin is not None  # noqa: S101
    with bar("Soaking", count * TAKE_S, "s") as progress:
        for number in range(count):
            node.stdin.write(minutes[number % len(minutes)])
            node.stdin.flush()
            yield memory_mb("VmRSS", node.pid)
            progress.update(TAKE_S)
