"""Nearest neighbour in a memory bank: exact integer distances from a float32 matrix product.

Embeddings and bank share one int8 domain, so a squared distance is an integer, the same on every
machine. With the norms folded in as one more column, `[x, 1] @ [-2 m; |m|^2] = |x - m|^2 - |x|^2`,
every partial sum is a whole number below 2**24 as long as the dimension stays within
`MAX_DIMENSION`; float32 holds those exactly, in whatever order a BLAS adds them up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

# |x . 2m| <= 2 * 128 * 128 for each dimension and |m|^2 <= 128 * 128: together below 2**24.
MAX_DIMENSION = 2**24 // (3 * 128 * 128)
# A BLAS copies the rows anew for each block of queries, so many queries at once; a window has far
# fewer. So few rows, that the product of a window's queries stays in a small core's cache.
BLOCK_QUERIES = 1024
BLOCK_ROWS = 512


class Bank:
    """A memory bank ready to be searched.

    Args:
        rows: the normal embeddings, [rows, dimension] int8.
        block_queries: queries multiplied at once.
        block_rows: bank rows multiplied at once.

    Raises:
        ValueError: not int8, empty, or too wide for exact distances.
    """

    def __init__(
        self,
        rows: Int8Array,
        *,
        block_queries: int = BLOCK_QUERIES,
        block_rows: int = BLOCK_ROWS,
    ) -> None:
        if rows.dtype != np.int8 or rows.ndim != 2 or not rows.size:  # noqa: PLR2004
            raise ValueError(f"a bank is [rows, dimension] int8, not {rows.dtype} {rows.shape}")
        if rows.shape[1] > MAX_DIMENSION:
            raise ValueError(
                f"{rows.shape[1]} dimensions: distances are exact only up to {MAX_DIMENSION}"
            )
        self.size, self.dimension = rows.shape
        self._block_queries = block_queries
        self._tiles = [_fold(rows[i : i + block_rows]) for i in range(0, self.size, block_rows)]
        self._queries = np.ones((block_queries, self.dimension + 1), np.float32)
        widest = min(block_rows, self.size)
        self._products = np.empty((block_queries * widest,), np.float32)
        self._every = np.arange(block_queries)

    def squared_distances(self, queries: Int8Array) -> NDArray[np.int32]:
        """Squared distance of each query to its nearest row. [n, dimension] int8 -> [n] int32."""
        return self.nearest(queries)[0]

    def nearest(self, queries: Int8Array) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Squared distance of each query to its nearest row, and which row that is.

        [n, dimension] int8 -> [n] int32 each; of equally near rows the first.
        """
        if queries.dtype != np.int8 or queries.ndim != 2 or queries.shape[1] != self.dimension:  # noqa: PLR2004
            raise ValueError(
                f"queries are [n, {self.dimension}] int8, not {queries.dtype} {queries.shape}"
            )
        squared, rows = np.empty(len(queries), np.int32), np.empty(len(queries), np.int32)
        for start in range(0, len(queries), self._block_queries):
            place = slice(start, start + self._block_queries)
            squared[place], rows[place] = self._search(queries[place])
        return squared, rows

    def _search(self, block: Int8Array) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        augmented = self._queries[: len(block)]
        augmented[:, :-1] = block
        best, rows = self._nearest_in(augmented, self._tiles[0])
        first = self._tiles[0].shape[1]
        for tile in self._tiles[1:]:
            least, found = self._nearest_in(augmented, tile)
            nearer = least < best
            np.copyto(best, least, where=nearer)
            np.copyto(rows, found + first, where=nearer)
            first += tile.shape[1]
        features = augmented[:, :-1]
        norms = np.einsum("qd,qd->q", features, features)
        # The sum may exceed 2**24, so it is taken in integers.
        return norms.astype(np.int32) + best.astype(np.int32), rows

    def _nearest_in(
        self, augmented: NDArray[np.float32], tile: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Of one tile: how near the nearest row is, less the query's norm, and which that is."""
        shape = (len(augmented), tile.shape[1])
        products = self._products[: shape[0] * shape[1]].reshape(shape)
        np.matmul(augmented, tile, out=products)
        found = products.argmin(axis=1)
        return products[self._every[: len(found)], found], found


def _fold(rows: Int8Array) -> NDArray[np.float32]:
    """`[-2 m; |m|^2]`, [dimension + 1, rows]."""
    wide = rows.astype(np.float32)
    norms = np.einsum("rd,rd->r", wide, wide)
    return np.ascontiguousarray(np.vstack([-2.0 * wide.T, norms]))
