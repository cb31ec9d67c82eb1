"""The kernel's peers, each as it would be used: what can be prepared once is not timed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Int8Array = NDArray[np.int8]
    Call = Callable[[], object]


def _faiss(queries: Int8Array, rows: Int8Array, threads: int) -> Call:
    import faiss  # noqa: PLC0415

    faiss.omp_set_num_threads(threads)
    index: Any = faiss.IndexFlatL2(rows.shape[1])
    index.add(rows.astype(np.float32))
    wide = queries.astype(np.float32)
    return lambda: index.search(wide, 1)


def _sklearn(queries: Int8Array, rows: Int8Array, threads: int) -> Call:
    from sklearn.neighbors import NearestNeighbors  # noqa: PLC0415

    neighbours = NearestNeighbors(n_neighbors=1, algorithm="brute", n_jobs=threads)
    neighbours.fit(rows.astype(np.float32))
    wide = queries.astype(np.float32)
    return lambda: neighbours.kneighbors(wide)


def _cdist(queries: Int8Array, rows: Int8Array, _threads: int) -> Call:
    from scipy.spatial.distance import cdist  # noqa: PLC0415

    left, right = queries.astype(np.float64), rows.astype(np.float64)
    return lambda: cdist(left, right, "sqeuclidean").argmin(axis=1)


def _simsimd(queries: Int8Array, rows: Int8Array, threads: int) -> Call:
    import simsimd  # noqa: PLC0415

    return lambda: np.asarray(simsimd.cdist(queries, rows, "sqeuclidean", threads=threads)).argmin(
        axis=1
    )


def _numkong(queries: Int8Array, rows: Int8Array, _threads: int) -> Call:
    import numkong  # noqa: PLC0415

    return lambda: np.asarray(numkong.cdist(queries, rows, "sqeuclidean")).argmin(axis=1)


def _tflite(queries: Int8Array, rows: Int8Array, threads: int) -> Call:
    """The bank's own model; its int8 outputs only tell about which row is nearest."""
    from tflite_runtime.interpreter import Interpreter  # noqa: PLC0415

    from edge.bank_file import write_bank  # noqa: PLC0415

    interpreter: Any = Interpreter(model_content=write_bank(rows, 0.05), num_threads=threads)
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.resize_tensor_input(given["index"], queries.shape)
    interpreter.allocate_tensors()

    def call() -> object:
        interpreter.set_tensor(given["index"], queries)
        interpreter.invoke()
        return interpreter.get_tensor(found["index"]).argmax(axis=1)

    return call


MAKERS: dict[str, Callable[[Int8Array, Int8Array, int], Call]] = {
    "faiss IndexFlatL2": _faiss,
    "scikit-learn brute": _sklearn,
    "scipy cdist": _cdist,
    "simsimd int8": _simsimd,
    "numkong int8": _numkong,
    "TFLite FULLY_CONNECTED": _tflite,
}
