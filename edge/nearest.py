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
    from collections.abc import Sequence
    from concurrent.futures import ThreadPoolExecutor

    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

# |x . 2m| <= 2 * 128 * 128 for each dimension and |m|^2 <= 128 * 128: together below 2**24.
MAX_DIMENSION = 2**24 // (3 * 128 * 128)
# The product of so many queries and rows stays in a small core's cache, and costs little more than
# one of everything at once. A window has fewer queries.
BLOCK_QUERIES = 512
BLOCK_ROWS = 512


class Bank:
    """A memory bank ready to be searched. One search at a time.

    Args:
        rows: the normal embeddings, [rows, dimension] int8.
        threads: that share the queries of a search. They are its own; a BLAS with threads too would
            get in their way (`OPENBLAS_NUM_THREADS=1`, as `earpatch` sets it).
        block_queries: queries multiplied at once.
        block_rows: bank rows multiplied at once.

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
        self._block_queries = block_queries
        self._folded = folded = _fold(rows)
        # Transposed views: a BLAS packs rows that lie one behind the other faster than columns.
        tiles = [folded[i : i + block_rows].T for i in range(0, self.size, block_rows)]
        self._searches = [_Search(tiles, block_queries) for _ in range(threads)]
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
        tiles: folded rows, [dimension + 1, rows] each.
        block_queries: queries multiplied at once.
    """

    def __init__(self, tiles: Sequence[NDArray[np.float32]], block_queries: int) -> None:
        self._tiles, self._block_queries = tiles, block_queries
        width, widest = tiles[0].shape
        self._queries = np.ones((block_queries, width), np.float32)
        self._products = np.empty((block_queries * widest,), np.float32)
        self._every = np.arange(block_queries)

    def fill(self, queries: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]) -> None:
        """Write down the squared distance of each query to its nearest row, and which that is."""
        for start in range(0, len(queries), self._block_queries):
            place = slice(start, start + self._block_queries)
            self._fill_block(queries[place], squared[place], rows[place])

    def _fill_block(
        self, block: Int8Array, squared: NDArray[np.int32], rows: NDArray[np.int32]
    ) -> None:
        augmented = self._queries[: len(block)]
        features = augmented[:, :-1]
        features[:] = block
        best, rows[:] = self._nearest_in(augmented, self._tiles[0])
        first = self._tiles[0].shape[1]
        for tile in self._tiles[1:]:
            least, found = self._nearest_in(augmented, tile)
            nearer = least < best
            np.copyto(best, least, where=nearer)
            np.copyto(rows, found + first, where=nearer, casting="same_kind")
            first += tile.shape[1]
        # The sum with the query's own norm may exceed 2**24, so it is taken in integers.
        squared[:] = np.einsum("qd,qd->q", features, features)
        squared += best.astype(np.int32)

    def _nearest_in(
        self, augmented: NDArray[np.float32], tile: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
        """Of one tile: how near the nearest row is, less the query's norm, and which that is."""
        count = len(augmented)
        products = self._products[: count * tile.shape[1]].reshape(count, -1)
        np.matmul(augmented, tile, out=products)
        found = products.argmin(axis=1)
        return products[self._every[:count], found], found


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
