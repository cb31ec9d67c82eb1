"""`earpatch demo`: the whole product in a child process, as a person would start it."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest
from matplotlib import image

from calibration.simulator import Box
from convert.demo import _compare
from edge.bundle import open_bundle
from edge.delivery import examples
from edge.delivery.messages import AnomalyEvent

if TYPE_CHECKING:
    from pathlib import Path

DEMO_S = 300.0


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convert.main", "demo", "--output", str(folder), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=DEMO_S, check=False)


def test_the_demo_finds_all_three_faults_and_draws_them(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = run(folder)
    assert done.returncode == 0, done.stderr
    assert "3 of 3 faults found, 0 events without a fault" in done.stdout
    assert len(re.findall(r"demo-pump/main  \d", done.stdout)) >= 3
    assert "Traceback" not in done.stderr
    picture = image.imread(folder / "demo.png")
    assert min(picture.shape[:2]) > 300
    assert len(np.unique(picture[::7, ::7].reshape(-1, picture.shape[2]), axis=0)) > 100
    assert open_bundle(folder / "bundle").manifest.bundle_id in done.stdout


def test_the_demo_can_be_run_again_in_the_same_folder(tmp_path: Path) -> None:
    first, second = run(tmp_path), run(tmp_path)
    assert (first.returncode, second.returncode) == (0, 0), second.stderr
    assert "3 of 3 faults found" in second.stdout


def test_a_folder_that_can_not_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run(tmp_path / "file" / "demo")
    assert done.returncode == 2
    assert re.fullmatch(r"earpatch: .*can't write there.*\n", done.stderr)


def event(start_s: float, end_s: float, low_hz: float, high_hz: float) -> AnomalyEvent:
    example = examples.events()[0]
    assert isinstance(example, AnomalyEvent)
    replace = msgspec.structs.replace
    data = replace(
        example.data, start_s=start_s, end_s=end_s, low_hz=low_hz, high_hz=high_hz
    )  # fmt: skip
    return replace(example, data=data)


TRUTH = [("hiss", Box(1.0, 2.0, 4_000.0, 9_000.0)), ("squeal", Box(5.0, 7.0, 1_000.0, 1_200.0))]
HISS, SQUEAL = event(1.1, 2.1, 3_500.0, 8_000.0), event(5.0, 6.5, 900.0, 1_300.0)
STRAY = event(3.0, 3.5, 100.0, 200.0)


def test_every_fault_found_and_nothing_else_is_success() -> None:
    assert _compare([HISS, SQUEAL], TRUTH)
    assert _compare([HISS, HISS, SQUEAL], TRUTH)


@pytest.mark.parametrize(
    "received", [[], [HISS], [HISS, STRAY]], ids=["nothing", "one", "one and a stray"]
)
def test_a_missed_fault_fails_the_demo(
    received: list[AnomalyEvent], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not _compare(received, TRUTH)
    assert "missed: " in capsys.readouterr().out


def test_an_event_where_there_is_no_fault_fails_the_demo(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not _compare([HISS, SQUEAL, STRAY], TRUTH)
    assert "1 events without a fault" in capsys.readouterr().out
