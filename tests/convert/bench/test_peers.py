"""The peers: what is missing is skipped by name, and the child's answer becomes figures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from convert.bench import peers
from convert.bench.figures import Figure, figure
from convert.bench.site import BenchSite

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def bench_site(tmp_path_factory: pytest.TempPathFactory) -> BenchSite:
    return BenchSite(tmp_path_factory.mktemp("bench"), minutes=1, scored_s=60.0)


OURS = [
    figure("path", "run", "processor time", "ms for each s of sound", [10.0]),
    figure("path", "run", "peak resident memory", "MB", [75.0]),
]


def without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda _: None)


def test_what_is_not_installed_is_skipped_by_name(
    bench_site: BenchSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_tensorflow(monkeypatch)
    notes: list[str] = []
    figures = list(peers.measure(bench_site, OURS, None, notes.append))
    assert [each.setting for each in figures] == ["earpatch, whole path"] * 2
    assert "PatchCore" in notes[0]
    assert "autoencoder" in notes[1]


def test_an_environment_without_anomalib_is_told_and_the_others_go_on(
    bench_site: BenchSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_tensorflow(monkeypatch)
    notes: list[str] = []
    list(peers.measure(bench_site, OURS, Path(sys.executable), notes.append))
    assert len([note for note in notes if "No module named" in note]) == 4


def test_a_peers_time_is_for_each_second_of_sound_and_in_units_of_ours(
    bench_site: BenchSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_module: str, job: dict[str, Any], **_: object) -> dict[str, Any]:
        windows = np.load(job["windows"])
        assert windows.shape[1:] == (96, 128)
        assert len(windows) >= job["learn"] + job["score"]
        return {"spent_s": [0.64], "peak_mb": 750.0}

    without_tensorflow(monkeypatch)
    monkeypatch.setattr(peers, "ask", answer)
    figures = list(peers.measure(bench_site, OURS, Path(sys.executable), print))
    assert value(figures, "torch", lambda f: f.unit == "ms for each s of sound") == 1_000.0
    assert value(figures, "torch", lambda f: f.name == "processor time" and "ours" in f.unit) == 100
    assert value(figures, "torch", lambda f: f.name == "memory") == 10.0


def value(figures: list[Figure], setting: str, is_it: Callable[[Figure], bool]) -> float:
    return next(f.median for f in figures if setting in f.setting and is_it(f))
