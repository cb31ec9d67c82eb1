"""A source that never ends: sound again and again, several times as fast as it would be heard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.capture.sound import Block

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

BLOCK_S = 0.1
PAUSE_S = 0.005  # so that others get their turn, too


class Looped:
    """Plays `sound` in a circle; it may be exchanged meanwhile."""

    name, live = "looped", False
    epoch_s: float | None = None

    def __init__(self, sound: NDArray[np.float32], rate_hz: int) -> None:
        self.sound, self._rate_hz = sound, rate_hz
        self.facts: dict[str, str | int] = {"rate_hz": rate_hz}

    def blocks(self, stop: threading.Event) -> Iterator[Block]:
        """Until it is stopped."""
        size, sent = round(BLOCK_S * self._rate_hz), 0
        while not stop.wait(PAUSE_S):
            first = sent % (len(self.sound) - size)
            yield Block(
                self.sound[first : first + size].copy(), self._rate_hz, sent / self._rate_hz
            )
            sent += size
