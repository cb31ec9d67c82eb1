"""The reader of PyTorch state dicts: plain tensors come out, and nothing in a file is ever run."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convert import torch_weights
from convert.torch_weights import WeightsError, read_state_dict
from tests.convert.torch_files import (
    HOSTILE,
    ORDERED_DICT,
    START,
    VALUES,
    archive,
    legacy,
    state_dict,
    storage,
    tensor,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

CHILD_S, CHILD_KIB = 10.0, 2 * 2**20
READ_IN_CHILD = """
import sys
from pathlib import Path
from convert.torch_weights import WeightsError, read_state_dict
try:
    read_state_dict(Path(sys.argv[1]))
except WeightsError:
    pass
"""


LAYOUTS = pytest.mark.parametrize("layout", [archive, legacy], ids=["zip", "legacy"])


def read(folder: Path, data: bytes) -> dict[str, NDArray[np.generic]]:
    path = folder / "weights.pt"
    path.write_bytes(data)
    return read_state_dict(path)


@LAYOUTS
def test_tensors_come_back_by_name_with_shape_strides_and_offset(
    tmp_path: Path, layout: Callable[[bytes], bytes]
) -> None:
    program = state_dict(
        plain=tensor((4, 6), (6, 1)),
        transposed=tensor((6, 4), (1, 6)),
        part=tensor((2, 3), (6, 2), offset=7),
        repeated=tensor((3, 2), (0, 1)),
        scalar=tensor((), (), offset=5),
    )
    found = read(tmp_path, layout(program))
    square = VALUES.reshape(4, 6)
    assert np.array_equal(found["plain"], square)
    assert np.array_equal(found["transposed"], square.T)
    assert np.array_equal(found["part"], square[1:3, 1::2])
    assert np.array_equal(found["repeated"], [[0, 1]] * 3)
    assert found["scalar"] == 5
    assert found["scalar"].shape == ()


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("Float", "<f4"), ("Half", "<f2"), ("Double", "<f8"), ("Long", "<i8"), ("Int", "<i4")],
)
def test_every_number_format_is_read_as_it_is(tmp_path: Path, kind: str, dtype: str) -> None:
    values = np.array([1, -2, 3], dtype)
    program = state_dict(x=tensor((3,), (1,), source=storage("0", 3, f"{kind}Storage")))
    found = read(tmp_path, archive(program, values.tobytes()))["x"]
    assert found.dtype == dtype
    assert np.array_equal(found, values)


@LAYOUTS
@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_anything_that_is_not_a_plain_tensor_is_refused_and_never_run(
    tmp_path: Path, name: str, layout: Callable[[bytes], bytes]
) -> None:
    marker = tmp_path / "it-ran"
    with pytest.raises(WeightsError, match="refused"):
        read(tmp_path, layout(state_dict(good=tensor(), bad=HOSTILE[name](marker))))
    assert not marker.exists()


@LAYOUTS
@pytest.mark.parametrize(
    "program",
    [
        b"", b".", b"N.", START, START + b"}.", state_dict(x=b"N"), state_dict(x=tensor())[:-1],
        START + text("x") + text("y") + text("z") + b"s.", START + text("x") + b"Na.",
        START + b"h\x07.", START + b"0.", START + ORDERED_DICT + b"(" + text("x") + b"u.",
        START + b"Nb.", b"\x80\x02\xff.", START + b"I" + b"9" * 5_000 + b"\n.",
    ],
)  # fmt: skip
def test_a_pickle_that_is_no_state_dict_is_one_clear_error(
    tmp_path: Path, program: bytes, layout: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(WeightsError, match=r"^.*weights\.pt: [^\n]+$"):
        read(tmp_path, layout(program))


@LAYOUTS
@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((25,), (1,), 0), ((24,), (1,), 1), ((2, 2), (23, 1), 0), ((24,), (1,), -1),
        ((-1,), (1,), 0), ((0,), (1,), 0), ((2,), (-1,), 5), ((2, 2), (1,), 0),
        ((2**62,), (1,), 0), ((2**40,), (0,), 0), ((2**70,), (0,), 0), ((2**31, 2**31), (0, 0), 0),
        ((24,), (2**70,), 0), ((1,), (1,), 2**70),
    ],
)  # fmt: skip
def test_a_shape_that_its_storage_can_not_have_is_refused(
    tmp_path: Path,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    offset: int,
    layout: Callable[[bytes], bytes],
) -> None:
    with pytest.raises(WeightsError):
        read(tmp_path, layout(state_dict(x=tensor(shape, strides, offset))))


@LAYOUTS
def test_a_storage_that_is_too_short_is_refused(
    tmp_path: Path, layout: Callable[..., bytes]
) -> None:
    with pytest.raises(WeightsError):
        read(tmp_path, layout(state_dict(x=tensor()), VALUES.tobytes()[:-4]))
    with pytest.raises(WeightsError):
        read(tmp_path, layout(state_dict(x=tensor()), VALUES.tobytes()[:-1]))


@LAYOUTS
@pytest.mark.parametrize(
    "items",
    [{"x": tensor((200_000,), (0,))}, {f"x{i}": tensor((1_000,), (0,)) for i in range(200)}],
    ids=["one tensor", "many tensors"],
)
def test_tensors_larger_than_any_mobilenet_are_refused_however_small_their_storage(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    items: dict[str, bytes],
    layout: Callable[[bytes], bytes],
) -> None:
    monkeypatch.setattr(torch_weights, "MAX_WEIGHTS_BYTES", 100_000)
    with pytest.raises(WeightsError):
        read(tmp_path, layout(state_dict(**items)))


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_weights, "MAX_WEIGHTS_BYTES", 1_000_000)
    bomb = archive(state_dict(x=tensor()), bytes(10_000_000), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(WeightsError, match="unpacks to more"):
        read(tmp_path, bomb)


def test_an_archive_that_lies_about_its_sizes_is_refused(tmp_path: Path) -> None:
    bomb = archive(state_dict(x=tensor()), bytes(10_000_000), zipfile.ZIP_DEFLATED)
    small = bomb.replace((10_000_000).to_bytes(4, "little"), (96).to_bytes(4, "little"))
    assert small != bomb
    with pytest.raises(WeightsError):
        read(tmp_path, small)


DOUBLING = b")" + b"q\x00h\x00\x86" * 60  # a tuple of 2**60 leaves in 300 bytes
DEEP = b")" + b"\x85" * 1_000_000
EXHAUSTING = {
    "called, wide": DOUBLING + b")R",
    "as a key, wide": b"}" + DOUBLING + b"Ns",
    "called, deep": DEEP + b")R",
    "as a key, deep": b"}" + DEEP + b"Ns",
    "a hundred dimensions": tensor((1,) * 100, (1,) * 100),
}


@pytest.mark.parametrize("name", sorted(EXHAUSTING))
def test_nesting_can_not_hang_exhaust_or_crash_the_reader(tmp_path: Path, name: str) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(archive(state_dict(good=tensor(), bad=EXHAUSTING[name])))
    limited = f'ulimit -v {CHILD_KIB}; exec "$@"'
    command = ["bash", "-c", limited, "-", sys.executable, "-c", READ_IN_CHILD, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr[-300:]


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "text", "zip of something else"])
def test_what_is_no_weights_file_is_one_clear_error(tmp_path: Path, what: str) -> None:
    path = tmp_path / "weights.pt"
    if what == "folder":
        path.mkdir()
    elif what == "zip of something else":
        with zipfile.ZipFile(path, "w") as out:
            out.writestr("readme.txt", "hello")
    elif what != "missing":
        path.write_text("hello\n" if what == "text" else "")
    with pytest.raises(WeightsError, match=r"^.*weights\.pt: [^\n]+$"):
        read_state_dict(path)


WHOLE = state_dict(a=tensor((4, 6), (6, 1)), b=tensor((2, 3), (6, 2), 7))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_every_truncation_of_an_archive_is_refused(tmp_path: Path, method: int) -> None:
    data = archive(WHOLE, method=method)
    for length in range(0, len(data), 3):
        with pytest.raises(WeightsError):
            read(tmp_path, data[:length])


def test_every_truncation_of_a_legacy_file_is_refused(tmp_path: Path) -> None:
    data = legacy(WHOLE)
    for length in range(len(data)):
        with pytest.raises(WeightsError):
            read(tmp_path, data[:length])


@given(
    st.sampled_from([legacy(WHOLE), archive(WHOLE), archive(WHOLE, method=zipfile.ZIP_DEFLATED)]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_changed_bytes_give_tensors_or_a_clear_error_and_nothing_else(
    tmp_path: Path, data: bytes, changes: list[tuple[float, int]]
) -> None:
    changed = bytearray(data)
    for place, value in changes:
        changed[int(place * len(data))] = value
    try:
        found = read(tmp_path, bytes(changed))
    except WeightsError:
        return
    assert all(isinstance(array, np.ndarray) for array in found.values())
