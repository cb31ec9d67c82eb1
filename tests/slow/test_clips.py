"""Slow evidence: the memory of an hour of sound with 500 clips is bounded."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.soak

MAX_GROWTH_MIB = 55.0  # the ring, a queue of 8 MiB, the largest clip at work, its picture
CHILD_S = 3_600.0
# An hour of 48 kHz in blocks of 0.1 s, an event every 7.2 s, every tenth of them 26 s long; as fast
# as the disk takes them (`paced`), or as fast as the sound can be brought, ten times that.
LISTEN = """
import json, sys, time
from pathlib import Path
import numpy as np
from edge.capture.sound import Block
from edge.clips.keeper import ClipKeeper
from edge.clips.settings import ClipSettings

def memory_mib(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024

def ulid(number):
    return "01KAWXZ7QF" + f"{number:016d}"

folder, paced = Path(sys.argv[1]), sys.argv[2] == "paced"
import edge.clips.picture, scipy.signal  # what a node that draws and resamples has loaded

rng = np.random.default_rng(0)
pool = [rng.normal(0, 0.01, 4_800).astype(np.float32) for _ in range(50)]
NOW_S = 1_764_055_031.0  # of the ids
settings = ClipSettings(enabled=True, max_mb=60, min_free_mb=10)
keeper = ClipKeeper(settings, folder, ["main"], lambda: NOW_S)
events, calls_s, before = 0, [], memory_mib("VmRSS")
for i in range(36_000):
    began = time.perf_counter()
    keeper.hear("main", Block(pool[i % 50], 48_000, i / 10))
    if i % 72 == 71:
        length_s = 26.0 if events % 10 == 9 else 3.0
        keeper.event("main", ulid(events), i / 10 - length_s - 1, i / 10 - 1, 500.0, 900.0)
        events += 1
    calls_s.append(time.perf_counter() - began)
    if paced:
        while True:
            status = keeper.status
            if events - status.written - status.dropped <= 8:
                break
            time.sleep(0.01)
keeper.close(600)
status = keeper.status
print(json.dumps({
    "before": before, "end": memory_mib("VmRSS"), "peak": memory_mib("VmHWM"),
    "written": status.written, "dropped": status.dropped, "failed": status.failed,
    "count": status.count, "bytes": status.bytes,
    "slowest_ms": max(calls_s) * 1e3, "p999_ms": float(np.quantile(calls_s, 0.999)) * 1e3,
}))
"""


@pytest.mark.parametrize("pace", ["paced", "flood"])
def test_memory_and_disk_of_an_hour_with_500_clips_are_bounded(tmp_path: Path, pace: str) -> None:
    """F14, I06: also where clips come faster than they are written."""
    command = [sys.executable, "-c", LISTEN, str(tmp_path / "clips"), pace]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print(f"\nclips, {pace}: {found}")
    assert found["written"] + found["dropped"] == 500
    assert found["failed"] == 0
    assert found["written"] == 500 or pace == "flood"
    assert found["peak"] - found["before"] <= MAX_GROWTH_MIB
    on_disk = sum(path.stat().st_size for path in (tmp_path / "clips").rglob("*.*"))
    assert on_disk <= 60_000_000 + 20 * 3_000_000
