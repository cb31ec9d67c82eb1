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
# Queries and rows of one product: half a megabyte, which a cache holds. Fewer queries meet more
# rows, or the calls would cost too much; a bank that fits no cache is read once for many queries.
BLOCK_QUERIES, BLOCK_ROWS = 256, 512
MOST_QUERIES = 1_024  # of one pass over the bank


class Bank:
    """A memory bank ready to be searched. One search at a time.

    Args:
        rows: the normal embeddings, [rows, dimension] int8.
        block_queries: queries multiplied at once.
        block_rows: bank rows multiplied at once, or more where there are fewer queries.

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
        # A transposed view: a BLAS packs rows that lie one behind the other faster than columns.
        self._folded = _fold(rows).T
        self._block_queries, self._most = block_queries, block_queries * block_rows
        self._queries = np.ones((0, self.dimension + 1), np.float32)
        self._products = np.empty(0, np.float32)
        self._every = np.arange(block_queries)

    @property
    def rows(self) -> Int8Array:
        """The rows that it was made of, [rows, dimension]."""
        return (self._folded[:-1].T / np.float32(-2.0)).astype(np.int8)

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
        for start in range(0, len(queries), MOST_QUERIES):
            some = slice(start, start + MOST_QUERIES)
            self._pass(queries[some], squared[some], rows[some])
        return squared, rows

    def _pass(
        self, queries: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> None:
        """One pass over the bank for at most `MOST_QUERIES` queries."""
        count, at_once = len(queries), min(len(queries), self._block_queries)
        width = min(self.size, max(1, self._most // at_once))
        self._make_room(count, at_once * width)
        augmented = self._queries[:count]
        features = augmented[:, :-1]
        features[:] = queries
        if (at_once, width) == (count, self.size):  # one product: what a small bank takes
            best, rows[:] = self._nearest_in(augmented, self._folded)
        else:
            best = self._nearest_of_tiles(augmented, at_once, width, rows)
        # The sum with the query's own norm may exceed 2**24, so it is taken in integers.
        squared[:] = np.einsum("qd,qd->q", features, features)
        squared += best.astype(np.int32)

    def _nearest_of_tiles(
        self, augmented: NDArray[np.float32], at_once: int, width: int, rows: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        """Fills in which rows are nearest; returns how near, less the query's norm."""
        best = np.full(len(augmented), np.inf, np.float32)
        parts = [slice(i, i + at_once) for i in range(0, len(augmented), at_once)]
        for first in range(0, self.size, width):
            tile = self._folded[:, first : first + width]
            for part in parts:
                least, found = self._nearest_in(augmented[part], tile)
                found += first
                nearer = least < best[part]
                np.copyto(best[part], least, where=nearer)
                np.copyto(rows[part], found, where=nearer, casting="same_kind")
        return best

    def _nearest_in(
        self, augmented: NDArray[np.float32], tile: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Of one tile: how near the nearest row is, less the query's norm, and which that is."""
        count, width = len(augmented), tile.shape[1]
        products = self._products[: count * width].reshape(count, width)
        np.matmul(augmented, tile, out=products)
        found = products.argmin(axis=1)
        return products[self._every[:count], found], found

    def _make_room(self, queries: int, products: int) -> None:
        """Scratch that is large enough; made anew only when more comes than ever before."""
        if queries > len(self._queries):
            self._queries = np.ones((queries, self.dimension + 1), np.float32)
        if products > len(self._products):
            self._products = np.empty(products, np.float32)


def _fold(rows: Int8Array) -> NDArray[np.float32]:
    """`[-2 m, |m|^2]`, [rows, dimension + 1]."""
    folded = np.empty((len(rows), rows.shape[1] + 1), np.float32)
    features = folded[:, :-1]
    features[:] = rows
    np.einsum("rd,rd->r", features, features, out=folded[:, -1])
    features *= -2.0
    return folded
