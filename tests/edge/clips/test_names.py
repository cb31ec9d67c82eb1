"""Names of clips: a ULID is one, and tells its time; nothing else gets into a path."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.clips.names import is_ulid, parse_file, sound_path, ulid_utc_s
from tests.edge.clips.sounds import ulid

LATEST_S = (2**48 - 1) / 1000


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**80 - 1))
def test_a_ulid_tells_its_time(time_ms: int, number: int) -> None:
    text = ulid(time_ms / 1000, number)
    assert is_ulid(text)
    assert round(ulid_utc_s(text) * 1000) == time_ms


@given(st.floats(0, LATEST_S), st.integers(0, 2**80 - 1))
def test_every_ulid_has_a_path_that_is_parsed_again(utc_s: float, number: int) -> None:
    path = sound_path(Path("/clips"), ulid(utc_s, number))
    assert path.parent.parent == Path("/clips")
    assert parse_file(path.name) == (ulid(utc_s, number), ".flac")


def test_a_clip_lies_in_the_folder_of_its_day_utc() -> None:
    path = sound_path(Path("/clips"), "01KAWXZ7QF0123456789ABCDEF")
    assert path == Path("/clips/2025-11-25/01KAWXZ7QF0123456789ABCDEF.flac")


@pytest.mark.parametrize(
    "text",
    ["", "../../etc/passwd", "01kawxz7qf0123456789abcdef", "81KAWXZ7QF0123456789ABCDEF",
     "01KAWXZ7QF0123456789ABCDE", "01KAWXZ7QF0123456789ABCDEF\n", "01KAWXZ7QF0123456789ABCDEU"],
)  # fmt: skip
def test_what_is_no_ulid_gets_no_path(text: str) -> None:
    with pytest.raises(ValueError, match="is no ULID"):
        sound_path(Path("/clips"), text)


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "01KAWXZ7QF0123456789ABCDEF", "01KAWXZ7QF0123456789ABCDEF.wav",
     "01KAWXZ7QF0123456789ABCDEF.flac.bak", "x01KAWXZ7QF0123456789ABCDEF.flac", "\udcff.flac"],
)  # fmt: skip
def test_other_names_are_of_something_else(name: str) -> None:
    assert parse_file(name) is None
