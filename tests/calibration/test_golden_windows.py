"""Which windows calibration puts into a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from calibration.backbones import builtin_backbone
from calibration.golden_windows import NORMAL_WINDOWS, choose_golden
from calibration.simulator import Machine
from calibration.survey import survey
from edge.bundle import embedding_scale
from edge.nearest import Bank

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Site


def test_all_windows_but_the_last_are_as_near_as_normal_sound_is(site: Site) -> None:
    bundle = site.open()
    distances = np.sqrt(bundle.golden.squared) * embedding_scale(bundle.manifest)
    largest = distances[:, 2:-2].max(axis=(1, 2))  # inner columns
    assert len(largest) == NORMAL_WINDOWS + 1
    radius = bundle.manifest.bank.cover_radius
    assert (largest[:-1] <= 1.01 * radius).all()  # they are in the calibration
    assert largest[-1] > 1.5 * radius


def test_they_come_from_all_over_the_sound_and_are_all_different(site: Site) -> None:
    inputs = site.open().golden.inputs
    assert len({window.tobytes() for window in inputs}) == len(inputs)


def test_the_same_sound_gives_the_same_windows(site: Site) -> None:
    bundle, source = site.open(), builtin_backbone()
    again = choose_golden(
        survey(site.normal), source.backbone, bundle.manifest.front_end, bundle.bank,
        bundle.manifest.rows,
    )  # fmt: skip
    assert np.array_equal(again.inputs, bundle.golden.inputs)
    assert np.array_equal(again.squared, bundle.golden.squared)


@pytest.mark.parametrize("rate_hz", [8_000, 48_000])
def test_recordings_shorter_than_a_window_will_do(tmp_path: Path, rate_hz: int) -> None:
    """Clips of half a second: what is missing is mirrored, as the node does at the end."""
    sound = Machine(5, rate_hz).normal(12.0, 1)
    for number, clip in enumerate(np.array_split(sound, 24)):
        soundfile.write(tmp_path / f"{number:02}.wav", clip, rate_hz)
    source = builtin_backbone()
    heard = survey(tmp_path, accept=True)
    rows = 8
    bank = Bank(np.zeros((3, source.backbone.info.dimension), np.int8))
    golden = choose_golden(heard, source.backbone, source.front_end, bank, rows)
    assert golden.inputs.shape == (NORMAL_WINDOWS + 1, 96, 128)
    assert golden.squared.shape[-1] == rows
