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
    from concurrent.futures import ThreadPoolExecutor

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
        threads: that share the queries of a search. They are its own; a BLAS with threads too would
            get in their way (`OPENBLAS_NUM_THREADS=1`, as `earpatch` sets it).
        block_queries: queries multiplied at once.
        block_rows: bank rows multiplied at once, or more where there are fewer queries.

    Raises:
        ValueError: not int8, empty, or too wide for exact distances.
    """

    def __init__(
        self,
        rows: Int8Array,
        *,
        threads: int = 1,
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
        self._folded = _fold(rows)
        self._searches = [_Search(self._folded, block_queries, block_rows) for _ in range(threads)]
        self._pool: ThreadPoolExecutor | None = None

    @property
    def rows(self) -> Int8Array:
        """The rows that it was made of, [rows, dimension]."""
        return (self._folded[:, :-1] / np.float32(-2.0)).astype(np.int8)

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
        answer = np.empty(len(queries), np.int32), np.empty(len(queries), np.int32)
        if len(self._searches) == 1:
            self._searches[0].fill(queries, *answer)
        else:
            self._share(queries, *answer)
        return answer

    def _share(
        self, queries: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> None:
        """As many queries for each thread; the first part is the caller's own."""
        self._pool = self._pool or _pool(len(self._searches) - 1)
        each = max(1, -(-len(queries) // len(self._searches)))
        parts = [slice(i * each, (i + 1) * each) for i in range(len(self._searches))]
        others = [
            self._pool.submit(search.fill, queries[part], squared[part], rows[part])
            for search, part in zip(self._searches[1:], parts[1:], strict=True)
        ]
        own = parts[0]
        self._searches[0].fill(queries[own], squared[own], rows[own])
        for other in others:
            other.result()


class _Search:
    """What one thread works with.

    Args:
        folded: the rows, [rows, dimension + 1].
        block_queries: queries multiplied at once.
        block_rows: rows multiplied at once with so many queries.
    """

    def __init__(self, folded: NDArray[np.float32], block_queries: int, block_rows: int) -> None:
        # A transposed view: a BLAS packs rows that lie one behind the other faster than columns.
        self._folded = folded.T
        self._block_queries, self._most = block_queries, block_queries * block_rows
        self._queries = np.ones((0, len(self._folded)), np.float32)
        self._products = np.empty(0, np.float32)
        self._every = np.arange(block_queries)

    def fill(self, queries: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
        """Write down the squared distance of each query to its nearest row, and which that is."""
        for start in range(0, len(queries), MOST_QUERIES):
            some = slice(start, start + MOST_QUERIES)
            self._pass(queries[some], squared[some], rows[some])

    def _pass(
        self, queries: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> None:
        """One pass over the bank."""
        count = len(queries)
        if count > len(self._queries):
            self._queries = np.ones((count, len(self._folded)), np.float32)
        augmented = self._queries[:count]
        features = augmented[:, :-1]
        features[:] = queries
        size, at_once = self._folded.shape[1], min(count, self._block_queries)
        width = min(size, max(1, self._most // max(1, at_once)))
        if width * at_once > len(self._products):
            self._products = np.empty(width * at_once, np.float32)
        parts = [slice(i, i + at_once) for i in range(0, count, at_once)]
        best = np.empty(count, np.float32)
        for first in range(0, size, width):
            tile = self._folded[:, first : first + width]
            for part in parts:
                self._meet(augmented[part], tile, first, best[part], rows[part])
        # The sum with the query's own norm may exceed 2**24, so it is taken in integers.
        squared[:] = np.einsum("qd,qd->q", features, features)
        squared += best.astype(np.int32)

    def _meet(
        self,
        augmented: NDArray[np.float32],
        tile: NDArray[np.float32],
        first: int,
        best: NDArray[np.float32],
        rows: NDArray[np.int32],
    ) -> None:
        """Of one tile, which begins at row `first`: whether it holds nearer rows."""
        count, width = len(augmented), tile.shape[1]
        products = self._products[: count * width].reshape(count, width)
        np.matmul(augmented, tile, out=products)
        found = products.argmin(axis=1)
        least = products[self._every[:count], found]
        if first == 0:
            best[:], rows[:] = least, found
            return
        nearer = least < best
        np.copyto(best, least, where=nearer)
        found += first
        np.copyto(rows, found, where=nearer, casting="same_kind")


def _pool(threads: int) -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415  (a node needs none)

    return ThreadPoolExecutor(threads, thread_name_prefix="nearest")


def _fold(rows: Int8Array) -> NDArray[np.float32]:
    """`[-2 m, |m|^2]`, [rows, dimension + 1]."""
    folded = np.empty((len(rows), rows.shape[1] + 1), np.float32)
    features = folded[:, :-1]
    features[:] = rows
    np.einsum("rd,rd->r", features, features, out=folded[:, -1])
    features *= -2.0
    return folded
