"""A clip: the sound around an event, still in pieces where sound is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from edge.clips.recent import FULL_SCALE
from edge.resample import Resampler

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge.clips.recent import Piece

    Int16Array = NDArray[np.int16]

UNHEARD_S = 0.001  # a shorter hole is none to a listener


class Box(NamedTuple):
    """An event's place in its input's stream."""

    start_s: float
    end_s: float
    low_hz: float
    high_hz: float


class Clip(NamedTuple):
    """What is to be written of one event."""

    input: str
    event_id: str  # a ULID
    box: Box
    pieces: list[Piece]  # at least one, in the order of time

    @property
    def start_s(self) -> float:
        """Where it begins, in the input's stream."""
        return self.pieces[0].at_s

    @property
    def end_s(self) -> float:
        """Where it ends."""
        return self.pieces[-1].end_s

    @property
    def rate_hz(self) -> int:
        """The rate of the piece that holds the most of the event."""

        def shared_s(piece: Piece) -> float:
            return min(piece.end_s, self.box.end_s) - max(piece.at_s, self.box.start_s)

        return max(self.pieces, key=shared_s).rate_hz

    @property
    def bytes(self) -> int:
        """Memory that its sound takes."""
        return sum(piece.samples.nbytes for piece in self.pieces)

    def breaks_s(self) -> list[tuple[float, float]]:
        """From where to where sound is missing, from the clip's start on; a cut has no length."""
        ends = [piece.end_s - self.start_s for piece in self.pieces[:-1]]
        begins = [piece.at_s - self.start_s for piece in self.pieces[1:]]
        return [
            (end, begin if begin - end >= UNHEARD_S else end)
            for end, begin in zip(ends, begins, strict=True)
        ]

    def sound(self) -> Int16Array:
        """All of it at one rate, each piece at its time; holes are digital silence."""
        parts: list[Int16Array] = []
        length = 0
        for piece in self.pieces:
            samples = _at_rate(piece, self.rate_hz)
            hole = max(0, round((piece.at_s - self.start_s) * self.rate_hz) - length)
            parts += [np.zeros(hole, np.int16), samples]
            length += hole + len(samples)
        return np.concatenate(parts)


def _at_rate(piece: Piece, rate_hz: int) -> Int16Array:
    if piece.rate_hz == rate_hz:
        return piece.samples
    resampler = Resampler(piece.rate_hz, rate_hz)
    whole = resampler.push(piece.samples.astype(np.float32))
    samples = np.rint(np.concatenate([whole, resampler.finish()]))
    return np.asarray(np.clip(samples, -FULL_SCALE, FULL_SCALE - 1), np.int16)
