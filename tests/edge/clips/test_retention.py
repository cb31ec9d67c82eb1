"""Retention: the oldest goes until everything is within its limits; what isn't ours stays."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips import retention
from edge.clips.names import sound_path, ulid_utc_s
from edge.clips.retention import DAY_S, Limits, retain
from edge.clips.settings import ClipSettings
from tests.edge.clips.sounds import NOW_S, own_files, ulid

BOUNDLESS = Limits(1e12, 10**9, 10**15, 0)
FOREIGN = ("notes.txt", "clip-01.flac", ".hidden", "2025-11-24T10_00.png", "UPPER.FLAC")


class Made(NamedTuple):
    """A clip in a folder."""

    event_id: str
    suffixes: tuple[str, ...]
    length: int


def put(folder: Path, made: Made) -> None:
    for suffix in made.suffixes:
        path = sound_path(folder, made.event_id).with_suffix(suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(made.length))


def on_disk(path: Path) -> int:
    found = path.lstat()
    return max(found.st_size, 512 * found.st_blocks)


def many(folder: Path, number: int, *, length: int = 10) -> list[str]:
    """Clips a minute apart, oldest first, the last of them of now."""
    ids = [ulid(NOW_S - 60.0 * age) for age in reversed(range(number))]
    for each in ids:
        put(folder, Made(each, (".flac", ".png"), length))
    return ids


def kept_ids(folder: Path) -> list[str]:
    return sorted({Path(name).name.partition(".")[0] for name in own_files(folder)})


clips = st.lists(
    st.builds(
        Made,
        event_id=st.builds(
            ulid, st.integers(-40 * 24, 10 * 24).map(lambda h: NOW_S + 3_600.0 * h), st.integers(0)
        ).filter(lambda text: len(text) == 26),
        suffixes=st.sampled_from([(".flac", ".png"), (".flac",), (".png",)]),
        length=st.integers(0, 9_000),
    ),
    max_size=12,
    unique_by=lambda made: made.event_id,
)


def expected_to_stay(folder: Path, made: list[Made], limits: Limits, free: int) -> set[str]:
    """The same rules, written down once more."""
    sizes = {
        m.event_id: sum(on_disk(sound_path(folder, m.event_id).with_suffix(s)) for s in m.suffixes)
        for m in made
    }

    def age_order(event_id: str) -> tuple[bool, float, str]:
        made_s = ulid_utc_s(event_id)
        return made_s <= NOW_S + DAY_S, made_s, event_id

    left = sorted(sizes, key=age_order)
    left = [i for i in left if ulid_utc_s(i) >= NOW_S - limits.max_age_s]
    freed = sum(size for i, size in sizes.items() if i not in left)
    while left and (
        len(left) > limits.max_count
        or sum(sizes[i] for i in left) > limits.max_bytes
        or free + freed < limits.min_free_bytes
    ):
        freed += sizes[left.pop(0)]
    return set(left)


@settings(max_examples=150, deadline=None)
@given(
    made=clips,
    foreign=st.lists(st.sampled_from(FOREIGN), unique=True),
    max_days=st.floats(0.1, 50),
    max_count=st.integers(1, 10),
    max_bytes=st.integers(1, 60_000),
    short_of=st.integers(-100_000, 60_000),
)
def test_what_stays_is_what_the_rules_say(
    *,
    made: list[Made],
    foreign: list[str],
    max_days: float,
    max_count: int,
    max_bytes: int,
    short_of: int,
) -> None:
    """I06, I07: any number is deleted in one pass, whatever else lies there."""
    folder = Path(tempfile.mkdtemp())
    try:
        for each in made:
            put(folder, each)
        days = list(folder.iterdir())
        for name in foreign:
            for place in (folder, *days):
                (place / name).write_text("not ours")
        limits = Limits(max_days * DAY_S, max_count, max_bytes, 10**9 + short_of)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(retention, "free_bytes", lambda _: 10**9)
            stay = expected_to_stay(folder, made, limits, 10**9)
            kept = retain(folder, limits, NOW_S)
        names = own_files(folder)
        ours = {f"{m.event_id}{s}" for m in made for s in m.suffixes if m.event_id in stay}
        assert {n.rpartition("/")[2] for n in names} - set(foreign) == ours
        assert len(names) - len(ours) == len(foreign) * (1 + len(days))
        assert (kept.count, kept.deleted) == (len(stay), len(made) - len(stay))
        assert not kept.troubles
        assert all(any(day.iterdir()) for day in folder.iterdir() if day.is_dir())
    finally:
        shutil.rmtree(folder)


def test_one_pass_deletes_as_many_as_have_come(tmp_path: Path) -> None:
    """I06: deletion is never slower than production."""
    ids = many(tmp_path, 3_000)
    kept = retain(tmp_path, BOUNDLESS._replace(max_count=10), NOW_S)
    assert (kept.count, kept.deleted) == (10, 2_990)
    assert kept_ids(tmp_path) == ids[-10:]


def test_what_cannot_be_looked_at_or_deleted_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I07: one bad file is told, and all others go."""
    ids = many(tmp_path, 5)
    unlink = Path.unlink

    def stubborn(path: Path, *, missing_ok: bool = False) -> None:
        if path.name.startswith(ids[1]):
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", stubborn)
    kept = retain(tmp_path, BOUNDLESS._replace(max_count=2), NOW_S)
    assert kept_ids(tmp_path) == [ids[1], ids[4]]
    assert (kept.count, kept.deleted) == (2, 3)
    assert kept.troubles == [f"{ids[1]}: Operation not permitted"]


def test_pictures_without_sound_and_sound_without_pictures_grow_old_like_clips(
    tmp_path: Path,
) -> None:
    """I07: no orphan is left over."""
    old, new = ulid(NOW_S - 40 * DAY_S), ulid(NOW_S - DAY_S)
    put(tmp_path, Made(old, (".png",), 10))
    put(tmp_path, Made(new, (".flac",), 10))
    retain(tmp_path, BOUNDLESS._replace(max_age_s=30 * DAY_S), NOW_S)
    assert kept_ids(tmp_path) == [new]
    assert len(list(tmp_path.iterdir())) == 1, "the old day's folder is empty and goes too"


def test_what_was_not_written_to_its_end_goes_at_once(tmp_path: Path) -> None:
    """I11: a power cut leaves a part of a file."""
    (event_id,) = many(tmp_path, 1)
    part = sound_path(tmp_path, event_id).with_suffix(".flac.part")
    part.write_bytes(b"fLaC")
    assert retain(tmp_path, BOUNDLESS, NOW_S).count == 1
    assert not part.exists()
    assert len(own_files(tmp_path)) == 2


def test_no_link_is_followed(tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "clips"
    many(elsewhere, 3)
    folder.mkdir()
    (day,) = elsewhere.iterdir()
    (folder / "2020-01-01").symlink_to(day)
    (folder / "2020-01-02").mkdir()
    for file in day.iterdir():
        (folder / "2020-01-02" / file.name).symlink_to(file)
    before = own_files(tmp_path)
    assert retain(folder, Limits(0.0, 0, 0, 1 << 60), NOW_S).count == 0
    assert own_files(tmp_path) == before


def test_what_has_our_name_and_is_no_file_is_left_alone(tmp_path: Path) -> None:
    (event_id,) = many(tmp_path, 1)
    path = sound_path(tmp_path, event_id)
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("not ours")
    os.mkfifo(path.with_name(f"{ulid(NOW_S)}.png.part"))
    kept = retain(tmp_path, BOUNDLESS._replace(max_age_s=-1.0), NOW_S)
    assert (kept.deleted, kept.troubles) == (1, [])
    assert (path / "inside").is_file()


def test_a_clip_dated_by_a_clock_that_was_ahead_does_not_outlive_all_others(
    tmp_path: Path,
) -> None:
    """I04: nobody knows its age, so it goes first; but not before something has to."""
    ahead = ulid(NOW_S + 400 * DAY_S)
    put(tmp_path, Made(ahead, (".flac",), 10))
    ids = many(tmp_path, 3)
    assert retain(tmp_path, BOUNDLESS._replace(max_age_s=DAY_S), NOW_S).count == 4
    retain(tmp_path, BOUNDLESS._replace(max_count=3), NOW_S)
    assert kept_ids(tmp_path) == ids


def test_a_clock_that_is_back_deletes_nothing_for_its_age(tmp_path: Path) -> None:
    """I04: after a start without a clock, all clips seem to lie in the future."""
    many(tmp_path, 3)
    two_weeks_back_s = NOW_S - 14 * DAY_S
    assert retain(tmp_path, Limits.of(ClipSettings()), two_weeks_back_s).deleted == 0


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert retain(tmp_path / "none", BOUNDLESS, NOW_S) == retention.Kept(0, 0, 0, [])
