"""The coreset: a bank of bounded size that covers all normal embeddings, chosen in fixed memory.

Greedy k-center (Gonzalez, 1985; used by PatchCore, Roth et al., CVPR 2022) needs every point at
once. Here points arrive in chunks, as in the incremental clustering of Charikar et al. (STOC
1997): what the bank covers already is dropped, the rest joins it, and when the bank overflows it
is chosen anew from both, which also gives the radius that counts as covered from then on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.nearest import Bank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

CHUNK_ROWS = 16_384
DEFAULT_MAX_ROWS = 2_000
DEFAULT_MAX_BYTES = 512 * 1024


@dataclass(frozen=True)
class Coreset:
    """Embeddings that stand for all that were added."""

    rows: Int8Array  # [n, dimension]
    origins: NDArray[np.int64]  # [n]
    radius: float  # in int8 steps


def merged(coresets: Sequence[Coreset], limit: int) -> Coreset:
    """One coreset of several: a coreset of coresets covers all (Indyk et al., PODS 2014)."""
    pool = np.concatenate([coreset.rows for coreset in coresets])
    origins = np.concatenate([coreset.origins for coreset in coresets])
    chosen, radius = k_center(pool, limit)
    farthest = max(coreset.radius for coreset in coresets)
    return Coreset(pool[chosen], origins[chosen], farthest + float(np.sqrt(radius)))


class StreamingCoreset:
    """Collects embeddings and keeps a bank of at most `max_rows` rows and `max_bytes` bytes.

    Args:
        dimension: length of an embedding.
        max_rows: the largest number of rows.
        max_bytes: the largest size of the int8 bank.
        chunk_rows: embeddings gathered before they are looked at; sets the memory, not the result's
            size.
    """

    def __init__(
        self,
        dimension: int,
        *,
        max_rows: int = DEFAULT_MAX_ROWS,
        max_bytes: int = DEFAULT_MAX_BYTES,
        chunk_rows: int = CHUNK_ROWS,
    ) -> None:
        self.limit = min(max_rows, max_bytes // dimension)
        if self.limit < 1:
            raise ValueError(f"a bank of {max_rows} rows, {max_bytes} bytes holds no embedding")
        self.seen = 0
        self._rows = np.empty((0, dimension), np.int8)
        self._origins = np.empty(0, np.int64)
        self._covered = 0.0  # squared distance within which an embedding needs no row of its own
        self._chunk = np.empty((chunk_rows, dimension), np.int8)
        self._chunk_origins = np.empty(chunk_rows, np.int64)
        self._filled = 0

    def add(self, embeddings: Int8Array, origins: NDArray[np.int64] | None = None) -> None:
        """Take in embeddings, [n, dimension] int8, and numbers that tell where each was heard."""
        start = 0
        while start < len(embeddings):
            taken = embeddings[start : start + len(self._chunk) - self._filled]
            end = start + len(taken)
            place = slice(self._filled, self._filled + len(taken))
            self._chunk[place] = taken
            self._chunk_origins[place] = (
                np.arange(self.seen, self.seen + len(taken))
                if origins is None
                else origins[start:end]
            )
            self._filled += len(taken)
            self.seen += len(taken)
            start = end
            if self._filled == len(self._chunk):
                self._absorb()

    def finish(self) -> Coreset:
        """What was chosen.

        The radius is the largest that any one choice left uncovered. Over several chunks a row may
        be replaced by one within that radius, so an early embedding can lie farther away.
        """
        self._absorb()
        if not len(self._rows):
            raise ValueError("no embeddings were added")
        return Coreset(self._rows, self._origins, float(np.sqrt(self._covered)))

    def _absorb(self) -> None:
        fresh, origins = self._chunk[: self._filled], self._chunk_origins[: self._filled]
        self._filled = 0
        if not len(fresh):
            return
        if len(self._rows):
            uncovered = Bank(self._rows).squared_distances(fresh) > self._covered
            fresh, origins = fresh[uncovered], origins[uncovered]
        pool = np.concatenate([self._rows, fresh])
        chosen, radius = k_center(pool, self.limit)
        self._rows = pool[chosen]
        self._origins = np.concatenate([self._origins, origins])[chosen]
        self._covered = max(self._covered, radius)


def k_center(points: Int8Array, count: int) -> tuple[NDArray[np.int64], float]:
    """Greedy k-center: the farthest point from those chosen so far, again and again.

    Args:
        points: [n, dimension] int8.
        count: how many to choose; fewer are, if fewer are distinct.

    Returns:
        The chosen indices, and the largest squared distance of a point to the nearest of them.
    """
    wide = points.astype(np.float32)  # products are exact: see edge.nearest
    norms = np.einsum("nd,nd->n", wide, wide)
    nearest = np.full(len(points), np.inf, np.float32)
    mean = wide.mean(axis=0)
    candidate = int(np.argmax(norms - 2.0 * (wide @ mean)))
    chosen: list[int] = []
    farthest = np.inf
    while len(chosen) < min(count, len(points)) and farthest > 0:
        chosen.append(candidate)
        distances = norms + norms[candidate] - 2.0 * (wide @ wide[candidate])
        np.minimum(nearest, distances, out=nearest)
        candidate = int(np.argmax(nearest))
        farthest = float(nearest[candidate])
    return np.asarray(chosen), farthest
