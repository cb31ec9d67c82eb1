"""The child whose instructions are counted: it scores so many seconds of noise, and says nothing.

`python -m convert.bench.instructions_child BUNDLE SECONDS`. One thread, blocks of a microphone.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edge.bundle import open_bundle
from edge.detector import Detector

RATE_HZ, BLOCK = 48_000, 4_800
AMPLITUDE = 0.03


def score(bundle_path: Path, seconds: int) -> None:
    """Score noise, the same for the same seconds."""
    bundle, random = open_bundle(bundle_path), np.random.default_rng(0)
    detector = Detector(bundle, rate_hz=RATE_HZ)
    for _ in range(seconds * RATE_HZ // BLOCK):
        detector.push(AMPLITUDE * random.standard_normal(BLOCK, np.float32))


if __name__ == "__main__":
    score(Path(sys.argv[1]), int(sys.argv[2]))
