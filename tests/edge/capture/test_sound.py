"""The level of a block."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.capture.sound import level_dbfs


@given(
    level=st.floats(-90, 0), offset=st.floats(-0.5, 0.5), size=st.integers(16, 20_000),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_a_level_is_that_of_the_sound_without_its_mean(
    level: float, offset: float, size: int, seed: int
) -> None:
    """A microphone's offset, a hundred times and more what it hears, doesn't count."""
    noise = np.random.default_rng(seed).normal(0, 10 ** (level / 20), size)
    samples = (noise + offset).astype(np.float32)
    expected = 10 * np.log10(np.var(samples, dtype=np.float64))
    assert level_dbfs(samples) == pytest.approx(expected, abs=0.01)


def test_digital_silence_and_no_sound_have_no_level() -> None:
    assert level_dbfs(np.zeros(480, np.float32)) == float("-inf")
    assert level_dbfs(np.empty(0, np.float32)) == float("-inf")
