"""The command: what it prints for each section, for a person and for a program."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from convert.bench import kernel
from convert.bench.children import ask
from convert.bench.path import RUNTIMES
from convert.bench.site import BenchSite
from convert.main import main
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from pathlib import Path

CHILD_S = 300.0
STAGES = {"resampling", "log-mel", "backbone", "nearest neighbour", "evidence", "events"}


def json_of(*arguments: str) -> list[dict[str, object]]:
    command = [sys.executable, "-m", "convert.main", "bench", "--quick", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_kernel_is_timed_beside_its_peers_and_missing_ones_are_skipped_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "QUICK_SHAPES", ((16, 50, 8),))
    monkeypatch.setattr(kernel, "QUICK_BUDGET_S", 0.01)
    monkeypatch.setitem(kernel.PEERS, "a peer of nobody", "no_such_module")
    assert main(["bench", "--quick", "--only", "kernel"]) == 0
    printed = capsys.readouterr()
    assert "skipped: a peer of nobody, no_such_module is not installed" in printed.err
    installed = [name for name, module in kernel.PEERS.items() if find_spec(module)]
    for name in (kernel.OURS, f"of {kernel.GEMM}", *installed):
        assert name in printed.out
    assert "16 x 50 x 8, 1 thread" in printed.out
    assert "geometric mean, 1 thread" in printed.out


def test_the_path_is_told_by_stage_and_its_stages_are_the_whole() -> None:
    figures = json_of("--only", "path")
    spent = {
        str(each["setting"]): float(str(each["median"]))
        for each in figures
        if each["name"] == "processor time"
    }
    assert set(spent) > STAGES
    assert all(value > 0 for value in spent.values())
    stages = sum(value for setting, value in spent.items() if not setting.startswith("run"))
    assert abs(stages - spent["run"]) < 0.2 * spent["run"]  # medians don't add up exactly
    installed = [name for name, module in RUNTIMES.items() if find_spec(module)]
    memory = {each["setting"]: each["median"] for each in figures if each["unit"] == "MB"}
    assert set(memory) == {"run", *(f"run, {runtime}" for runtime in installed)}
    assert all(20 < float(str(mb)) < 500 for mb in memory.values())


def test_the_soak_tells_how_memory_grows_in_an_hour() -> None:
    figures = json_of("--only", "soak", "--hours", "0.1")
    assert {each["unit"] for each in figures} == {"MB", "MB an hour"}


def test_a_child_that_fails_is_one_line_that_names_it() -> None:
    with pytest.raises(EarpatchError, match="kernel_child: ended with code 1: "):
        ask("convert.bench.kernel_child", {"peer": None, "shapes": [[1, 2]], "budget_s": 0})


def test_a_child_has_a_deadline() -> None:
    with pytest.raises(EarpatchError, match="not done after"):
        ask("convert.bench.kernel_child", {}, timeout_s=0.001)


def test_a_site_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = BenchSite(tmp_path, minutes=1, scored_s=60.0)
    before = made.day.stat().st_mtime_ns
    assert BenchSite(tmp_path, minutes=1, scored_s=60.0).day.stat().st_mtime_ns == before


def test_an_impossible_number_of_hours_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["bench", "--hours", "0"])
    assert "0 is not between" in capsys.readouterr().err
