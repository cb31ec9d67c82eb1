"""Snapshots: files in chunks, and the same files again; or one line why not."""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.snapshot import Chunk, WholeFile, chunks, join
from edge.errors import SnapshotError
from tests.edge.clips.sounds import NOW_S, ulid

NAME = ulid(NOW_S)


def put(folder: Path, sound: bytes, picture: bytes | None) -> Path:
    path = folder / f"{NAME}.flac"
    path.write_bytes(sound)
    if picture is not None:
        path.with_suffix(".png").write_bytes(picture)
    return path


@settings(max_examples=60, deadline=None)
@given(
    sound=st.binary(max_size=5_000),
    picture=st.none() | st.binary(max_size=3_000),
    size=st.integers(1_024, 3_000),
    seed=st.integers(0, 9),
)
def test_what_is_split_can_be_joined_in_any_order_and_with_doubles(
    sound: bytes, picture: bytes | None, size: int, seed: int
) -> None:
    """F17, F16: the broker may bring chunks in another order, and twice."""
    with tempfile.TemporaryDirectory() as folder:
        parts = chunks(put(Path(folder), sound, picture), size)
    assert all(len(part.data_base64) <= size for part in parts)
    sent = [msgspec.json.encode(part) for part in parts]
    sent += sent[:1]
    random.Random(seed).shuffle(sent)
    files = {f.name: f for f in join(msgspec.json.decode(each, type=Chunk) for each in sent)}
    expected = {f"{NAME}.flac": WholeFile(f"{NAME}.flac", "audio/flac", sound)}
    if picture is not None:
        expected[f"{NAME}.png"] = WholeFile(f"{NAME}.png", "image/png", picture)
    assert files == expected


def test_both_files_together_may_have_two_mebibytes_and_no_byte_more(tmp_path: Path) -> None:
    """F22, F38: what no broker takes is refused before it is sent."""
    path = put(tmp_path, bytes(2 << 20), b"")
    assert sum(part.total_bytes for part in chunks(path) if part.index == 0) == 2 << 20
    put(tmp_path, bytes(2 << 20), b"x")
    with pytest.raises(SnapshotError, match=r"larger than 2097152 bytes.*longest_s"):
        chunks(path)


def test_a_chunk_as_a_message_is_little_more_than_its_data(tmp_path: Path) -> None:
    parts = chunks(put(tmp_path, os.urandom(200_000), None))
    assert len(parts) == 5
    assert max(len(msgspec.json.encode(part)) for part in parts) <= 65_536 + 300


def test_a_clip_that_is_gone_or_no_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / f"{NAME}.flac"
    with pytest.raises(SnapshotError, match="no longer there"):
        chunks(path)
    path.symlink_to("/etc/hostname")
    with pytest.raises(SnapshotError, match="can't be read"):
        chunks(path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(SnapshotError, match="not a file"):
        chunks(path)


def test_chunks_that_are_too_small_to_make_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SnapshotError, match="too small"):
        chunks(put(tmp_path, b"sound", None), 1_023)


def test_what_is_missing_damaged_or_mixed_up_is_not_joined(tmp_path: Path) -> None:
    parts = chunks(put(tmp_path, os.urandom(3_000), None), 1_024)
    replace = msgspec.structs.replace
    damaged = replace(parts[1], data_base64=parts[0].data_base64)
    for wrong, reason in (
        (parts[:-1], "chunk 3 is"),
        ([parts[0], damaged, *parts[2:]], "digest"),
        ([replace(parts[0], data_base64="!"), *parts[1:]], "not base64"),
        ([replace(parts[0], sha256="0" * 64), *parts[1:]], "different files"),
        ([*parts, replace(parts[0], index=9)], "an index is not"),
    ):
        with pytest.raises(SnapshotError, match=reason):
            join(wrong)


@pytest.mark.parametrize("name", ["../x.flac", "a/b", "", ".hidden", "a\n"])
def test_a_name_that_leads_elsewhere_is_no_chunk(name: str, tmp_path: Path) -> None:
    """F11: who writes what was received to a folder must not be led out of it."""
    (part,) = chunks(put(tmp_path, b"sound", None))
    message = msgspec.json.encode(msgspec.structs.replace(part, name=name))
    with pytest.raises(msgspec.ValidationError, match="name"):
        msgspec.json.decode(message, type=Chunk)
