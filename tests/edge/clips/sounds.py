"""Sound and names that the tests of clips share."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING

import numpy as np

from edge.capture.sound import Block
from edge.clips.clip import Box, Clip
from edge.clips.recent import Piece

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


RATE_HZ = 8_000
DEADLINE_S = 30.0
BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
NOW_S = 1_764_072_000.0  # 2025-11-25 12:00 UTC


def ulid(utc_s: float, number: int = 0) -> str:
    """A ULID of a time; equal ones differ by a number."""
    value = (round(utc_s * 1000) << 80) + number
    return "".join(BASE32[value >> 5 * place & 31] for place in range(25, -1, -1))


def noise(seconds: float, seed: int = 0, rate_hz: int = RATE_HZ) -> NDArray[np.int16]:
    """Quiet noise, 16 bit."""
    rng = np.random.default_rng(seed)
    return rng.integers(-3_000, 3_000, round(seconds * rate_hz)).astype(np.int16)


def block(at_s: float, seconds: float = 0.1, *, cut: bool = False, rate_hz: int = RATE_HZ) -> Block:
    """Noise at a time."""
    samples = noise(seconds, round(at_s * 1000), rate_hz).astype(np.float32) / 32_768
    return Block(samples, rate_hz, at_s, cut)


def clip(event_id: str, seconds: float = 1.0, name: str = "main") -> Clip:
    """A second of noise, and an event in it."""
    piece = Piece(noise(seconds, zlib.crc32(event_id.encode())), RATE_HZ, 10.0)
    return Clip(name, event_id, Box(10.2, 10.5, 500.0, 1_500.0), [piece])


def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def own_files(folder: Path) -> list[str]:
    """Names of all files below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())
