"""What a source gives: blocks with their place in time, or the reason why there are none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

State = Literal[
    "starting", "hearing", "silent", "frozen", "clipped", "stalled", "absent", "recovering", "ended"
]


class Block(NamedTuple):
    """Sound without a hole."""

    samples: FloatArray  # [n], mono, full scale 1.0
    rate_hz: int
    at_s: float  # of its first sample, from the start of the stream, gaps included
    cut: bool = False  # whether sound is missing, or another device begins, before it
    clipped_share: float = 0.0  # of samples at full scale, before any downmix

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.samples) / self.rate_hz

    @property
    def end_s(self) -> float:
        """When it is over."""
        return self.at_s + self.duration_s


class Outage(NamedTuple):
    """There is no sound now; told about twice a second while that lasts."""

    state: State
    reason: str
    at_s: float


class Source(Protocol):
    """Something that can be listened to."""

    name: str
    live: bool  # sound that won't wait: what isn't taken in time is lost
    epoch_s: float | None  # monotonic time at which its stream began; None if it has no clock

    @property
    def facts(self) -> dict[str, str | int]:
        """What was asked for and what was got, for the log and the health message."""
        ...

    def blocks(self, stop: threading.Event) -> Iterator[Block | Outage]:
        """Sound, until it ends or `stop` is set; never blocks for longer than a second."""
        ...


def level_dbfs(samples: FloatArray) -> float:
    """Root mean square without its mean, full scale 1.0; -inf for digital silence."""
    if not len(samples):
        return float("-inf")
    centred = samples - np.float32(np.add.reduce(samples) / len(samples))
    power = float(np.dot(centred, centred)) / len(samples)
    return 10.0 * math.log10(power) if power > 0.0 else float("-inf")
