"""The kernel's child process: earpatch, the bare GEMM and one peer, timed in turn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from convert.bench.children import answer
from convert.bench.contenders import MAKERS
from convert.bench.figures import paired_s
from convert.bench.kernel import GEMM, OURS
from edge.errors import EarpatchError
from edge.nearest import Bank

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]

CHECKED_QUERIES = 8


def _measure(job: dict[str, Any]) -> list[dict[str, list[float]]]:
    return [
        paired_s(_contenders(shape, job["peer"], job["threads"]), job["budget_s"])
        for shape in job["shapes"]
    ]


def _contenders(
    shape: tuple[int, int, int], peer: str | None, threads: int
) -> dict[str, Callable[[], object]]:
    count, rows, dimension = shape
    random = np.random.default_rng(sum(shape))
    queries = random.integers(-128, 128, (count, dimension)).astype(np.int8)
    bank_rows = random.integers(-128, 128, (rows, dimension)).astype(np.int8)
    bank = Bank(bank_rows)
    _check(bank, queries, bank_rows)
    left, right = queries.astype(np.float32), bank_rows.T.astype(np.float32, order="C")
    out = np.empty((count, rows), np.float32)
    contenders: dict[str, Callable[[], object]] = {
        GEMM: lambda: np.matmul(left, right, out=out),
        OURS: lambda: bank.nearest(queries),
    }
    if peer is not None:
        contenders[peer] = MAKERS[peer](queries, bank_rows, threads)
    return contenders


def _check(bank: Bank, queries: Int8Array, rows: Int8Array) -> None:
    """What is timed is exact."""
    some = queries[:CHECKED_QUERIES].astype(np.int64)
    expected = ((some[:, None] - rows.astype(np.int64)) ** 2).sum(axis=2).min(axis=1)
    if not np.array_equal(bank.squared_distances(queries[:CHECKED_QUERIES]), expected):
        raise EarpatchError("the kernel's distances are not exact on this machine")


if __name__ == "__main__":
    answer(_measure)
