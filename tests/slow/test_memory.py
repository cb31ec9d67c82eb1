"""Slow evidence: an hour of sound takes hardly more memory than ten minutes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import soundfile

from calibration.simulator import RATE_HZ, Machine

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.soak

TAKES, TAKE_S = 6, 60.0
SHORT_MINUTES, LONG_MINUTES = 10, 60
MAX_GROWTH_MIB = 25.0
MAX_EXPLAIN_GROWTH_MIB = 80.0  # the map of an hour, of which a few copies are made
MAX_PAGE_BYTES = 8_000_000
BURST = 4.0
CHILD_S = 3_600.0
# The kernel's high-water mark of this program alone: ru_maxrss would begin at its parent's size.
MEASURE = """
import json, sys
from pathlib import Path
from convert.main import main
code = main(sys.argv[1:])
status = Path("/proc/self/status").read_text().splitlines()
(peak_kib,) = (int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
print(json.dumps({"peak_mib": peak_kib / 1024}))
sys.exit(code)
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """A folder for each length, in minutes: hard links to a few takes, over and over."""
    takes = tmp_path_factory.mktemp("takes")
    machine = Machine(11)
    for take in range(TAKES):
        soundfile.write(takes / f"{take}.flac", machine.normal(TAKE_S, take), RATE_HZ)
    folders = {}
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        folders[minutes] = tmp_path_factory.mktemp(f"normal-{minutes}-")
        for minute in range(minutes):
            os.link(takes / f"{minute % TAKES}.flac", folders[minutes] / f"{minute:03}.flac")
    return folders


def peak_mib(*arguments: str) -> float:
    """Largest resident size of the process that learns; TensorFlow's child is not in it."""
    command = [sys.executable, "-c", MEASURE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr
    return float(json.loads(done.stdout.splitlines()[-1])["peak_mib"])


@pytest.mark.parametrize(
    "command", [["calibrate"], ["convert", "--backbone", "random"]], ids=["calibrate", "convert"]
)
def test_an_hour_takes_no_more_memory_than_ten_minutes(
    sound: dict[int, Path], tmp_path: Path, command: list[str]
) -> None:
    """H14, H16."""
    name, *options = command
    peaks = {
        minutes: peak_mib(name, str(tmp_path / f"{minutes}"), "--normal", str(folder), *options)
        for minutes, folder in sound.items()
    }
    growth = peaks[LONG_MINUTES] - peaks[SHORT_MINUTES]
    print(f"\n{name}: peak resident memory", end="")
    for minutes, peak in peaks.items():
        print(f", {peak:.1f} MiB for {minutes} minutes of sound", end="")
    print(f"; growth {growth:+.1f} MiB")
    assert growth <= MAX_GROWTH_MIB


def test_explaining_an_hour_takes_little_more_memory_than_ten_minutes_and_gives_a_small_page(
    sound: dict[int, Path], tmp_path: Path
) -> None:
    bundle = tmp_path / "bundle"
    peak_mib("calibrate", str(bundle), "--normal", str(sound[SHORT_MINUTES]), "--no-report")
    peaks = {}
    for minutes in (SHORT_MINUTES, LONG_MINUTES):
        long = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(long, "w", RATE_HZ, 1) as file:
            for path in sorted(sound[minutes].iterdir()):
                samples, _ = soundfile.read(path)
                samples[:RATE_HZ] *= BURST  # in every minute something happens
                file.write(samples.clip(-1, 1))
        peaks[minutes] = peak_mib("explain", str(bundle), str(long), "--output", str(tmp_path))
    page = tmp_path / f"{LONG_MINUTES}.html"
    growth = peaks[LONG_MINUTES] - peaks[SHORT_MINUTES]
    print(f"\nexplain: {peaks}, growth {growth:+.1f} MiB, page {page.stat().st_size} bytes")
    assert growth <= MAX_EXPLAIN_GROWTH_MIB
    assert page.stat().st_size < MAX_PAGE_BYTES
    assert "Left out: " in page.read_text()
