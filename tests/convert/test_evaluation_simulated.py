"""Simulated machines as sets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile

from calibration.simulator import FAULTS
from convert import evaluation_simulated
from convert.evaluation_simulated import simulated_sets

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_every_simulated_machine_is_a_set_with_every_kind_of_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_simulated, "SEEDS", range(9_000, 9_002))
    monkeypatch.setattr(evaluation_simulated, "NORMAL_S", 2.0)
    sets = simulated_sets(tmp_path, 1)
    assert [s.name for s in sets] == ["simulated", "simulated"]
    assert sets[0].normal != sets[1].normal
    for found in sets:
        assert [soundfile.info(path).duration for path in found.normal] == [2.0]
        assert [clip.kind for clip in found.clips] == ["", *sorted(FAULTS)]
        assert [clip.anomalous for clip in found.clips] == [False] + [True] * len(FAULTS)
        for clip in found.clips[1:]:
            assert clip.mask is not None
            columns = np.flatnonzero(clip.mask.any(axis=1))
            assert columns[0] >= 2.0 / 0.08 - 1
            assert columns[-1] <= 6.0 / 0.08
