"""The bank's flatbuffer: a round trip, and a nearest-neighbour model that every runtime runs."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.bank_file import read_bank, write_bank
from edge.errors import BundleError
from edge.nearest import MAX_DIMENSION, Bank
from edge.runtime import RuntimeName, make_interpreter
from tests.conftest import INSTALLED_RUNTIMES, Site

Int8Array = NDArray[np.int8]

SCALE = 0.05
FIRST_BYTES, LAST_BYTES = 200, 200  # where a flatbuffer keeps its tables
READ_EACH = """
import sys
from pathlib import Path
from edge.bank_file import read_bank
from edge.errors import BundleError
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        rows = read_bank(path.read_bytes())
    except BundleError:
        print(path.name, "refused", flush=True)
    else:
        print(path.name, "read", flush=True)
"""


@pytest.fixture(params=INSTALLED_RUNTIMES)
def runtime(request: pytest.FixtureRequest) -> RuntimeName:
    name: RuntimeName = request.param
    return name


def random_rows(seed: int, size: int, dimension: int) -> Int8Array:
    return np.random.default_rng(seed).integers(-128, 128, (size, dimension)).astype(np.int8)


def most_similar(model: bytes, queries: Int8Array, runtime: RuntimeName) -> list[int]:
    """The row with the largest output of the model, for each query."""
    interpreter, _ = make_interpreter(model, runtime=runtime)
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    best = []
    for query in queries:
        interpreter.set_tensor(entry["index"], query[None])
        interpreter.invoke()
        best.append(int(np.argmax(interpreter.get_tensor(result["index"])[0])))
    return best


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 300),
    dimension=st.integers(1, MAX_DIMENSION),
    scale=st.floats(1e-4, 10),
)
@settings(max_examples=60, deadline=None)
def test_what_was_written_is_what_is_read(
    seed: int, size: int, dimension: int, scale: float
) -> None:
    rows = random_rows(seed, size, dimension)
    assert np.array_equal(read_bank(write_bank(rows, scale)), rows)


@pytest.mark.parametrize("value", [-128, -1, 0, 127])
def test_a_bank_of_equal_values_survives_the_round_trip(value: int) -> None:
    rows = np.full((3, 5), value, np.int8)
    assert np.array_equal(read_bank(write_bank(rows, SCALE)), rows)


def test_the_rows_are_a_copy_that_may_be_written() -> None:
    rows = read_bank(write_bank(random_rows(1, 50, 16), SCALE))
    rows += 0
    assert np.array_equal(rows, random_rows(1, 50, 16))


def test_a_runtime_sees_the_same_rows(runtime: RuntimeName) -> None:
    rows = random_rows(2, 50, 16)
    interpreter, _ = make_interpreter(write_bank(rows, SCALE), runtime=runtime)
    (bank,) = [d for d in interpreter.get_tensor_details() if d["name"] == "bank"]
    assert np.array_equal(interpreter.get_tensor(bank["index"]), rows)


def test_the_same_rows_give_the_same_bytes() -> None:
    rows = random_rows(3, 20, 48)
    assert write_bank(rows, SCALE) == write_bank(rows.copy(), SCALE)


def test_the_rows_need_not_be_contiguous() -> None:
    rows = random_rows(4, 40, 48)
    assert np.array_equal(read_bank(write_bank(rows[::2, ::3], SCALE)), rows[::2, ::3])


def test_the_model_answers_a_row_of_the_bank_with_that_row(runtime: RuntimeName) -> None:
    rows = random_rows(5, 200, 48)
    assert most_similar(write_bank(rows, SCALE), rows[:60], runtime) == list(range(60))


def test_rows_in_one_direction_are_told_apart_by_their_length(runtime: RuntimeName) -> None:
    rows = np.repeat(np.arange(20, 121, 20, dtype=np.int8)[:, None], 48, axis=1)
    assert most_similar(write_bank(rows, SCALE), rows, runtime) == list(range(6))


@given(
    runtime=st.sampled_from(INSTALLED_RUNTIMES),
    seed=st.integers(0, 2**32),
    scale=st.floats(1e-3, 1.0),
)
@settings(max_examples=20, deadline=None)
def test_the_models_largest_output_is_the_nearest_row(
    runtime: RuntimeName, seed: int, scale: float
) -> None:
    random = np.random.default_rng([seed, 1])
    lengths = random.uniform(0.5, 1.0, (100, 1))
    rows = (random_rows(seed, 100, 48) * lengths).astype(np.int8)
    near = rows[:10].astype(int) + random.integers(-20, 21, (10, 48))
    queries = np.clip(near, -128, 127).astype(np.int8)
    chosen = most_similar(write_bank(rows, scale), queries, runtime)
    distances = ((queries.astype(int) - rows[chosen].astype(int)) ** 2).sum(axis=1)
    assert distances.tolist() == Bank(rows).squared_distances(queries).tolist()


def test_bytes_that_are_no_model_are_a_bundle_error() -> None:
    for data in (b"", b"\0" * 2_000, b"not a model" * 50):
        with pytest.raises(BundleError, match="bank"):
            read_bank(data)


def test_another_model_is_a_bundle_error(site: Site) -> None:
    with pytest.raises(BundleError, match="no int8 tensor named 'bank'"):
        read_bank(site.open().model)


def damaged_banks() -> Iterator[tuple[str, bytes]]:
    good = write_bank(random_rows(6, 30, 16), SCALE)
    for length in range(1, len(good), 50):
        yield f"cut-{length}", good[:length]
    tables = [*range(8, FIRST_BYTES, 12), *range(len(good) - LAST_BYTES, len(good), 12)]
    for position in tables:
        damaged = bytearray(good)
        damaged[position] ^= 0xA5
        yield f"flip-{position}", bytes(damaged)


def test_damaged_bytes_are_refused_and_never_end_the_process(tmp_path: Path) -> None:
    """I21: one damaged file must not end the program; a flatbuffer is a file of pointers."""
    banks = dict(damaged_banks())
    for name, data in banks.items():
        (tmp_path / name).write_bytes(data)
    command = [sys.executable, "-c", READ_EACH, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    answers = dict(line.split() for line in done.stdout.splitlines())
    assert done.returncode == 0, f"ended by {done.returncode} after {list(answers)[-1:]}"
    assert answers.keys() == banks.keys()
    assert {answers[name] for name in banks if name.startswith("cut")} == {"refused"}
