"""The keeper: a clip has the sound around its event, and the loop that brings it never waits."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips import keeper
from edge.clips.keeper import MOST_INCOMPLETE, ClipKeeper
from edge.clips.names import sound_path
from edge.clips.settings import ClipSettings
from edge.clips.writer import ClipStatus
from tests.edge.clips.sounds import (
    DEADLINE_S,
    NOW_S,
    RATE_HZ,
    block,
    own_files,
    ulid,
    until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.clips.clip import Clip

ID = ulid(NOW_S)
ENABLED = ClipSettings(enabled=True, min_free_mb=10)
EVENT = (500.0, 1_500.0)
IMPORT = "import sys; import edge.clips.keeper; print(*sys.modules)"


class Collected:
    """Stands where the writer stands, and keeps what it is given."""

    def __init__(self, *_: object) -> None:
        self.clips: list[Clip] = []
        self.lost_clips = 0
        self.closed = False

    def put(self, clip: Clip) -> None:
        """A clip is complete."""
        self.clips.append(clip)

    def lost(self, clips: int) -> None:
        """Clips there will never be."""
        self.lost_clips += clips

    def close(self, _: float) -> None:
        """Nothing more comes."""
        self.closed = True


@pytest.fixture
def collected(monkeypatch: pytest.MonkeyPatch) -> Collected:
    """What the next keeper hands over."""
    found = Collected()
    monkeypatch.setattr(keeper, "ClipWriter", lambda *_: found)
    return found


@pytest.fixture
def on_disk(tmp_path: Path) -> Iterator[ClipKeeper]:
    """A keeper with all its real parts."""
    found = ClipKeeper(ENABLED, tmp_path / "clips", ["main"], lambda: NOW_S)
    yield found
    found.close(DEADLINE_S)


def play(found: ClipKeeper, until_s: float, *, from_s: float = 0.0, name: str = "main") -> None:
    for i in range(round((until_s - from_s) * 10)):
        found.hear(name, block(from_s + i / 10))


def spans(clip: Clip) -> list[tuple[float, float]]:
    return [(round(p.at_s, 2), round(p.end_s, 2)) for p in clip.pieces]


def test_a_clip_is_on_disk_when_its_last_sound_has_come(
    on_disk: ClipKeeper, tmp_path: Path
) -> None:
    play(on_disk, 6.0)
    on_disk.event("main", ID, 4.0, 5.0, *EVENT)
    play(on_disk, 6.9, from_s=6.0)
    assert own_files(tmp_path) == []
    play(on_disk, 7.0, from_s=6.9)
    until(lambda: on_disk.latest("main"))
    assert on_disk.latest("main") == sound_path(tmp_path / "clips", ID)
    samples, rate_hz = soundfile.read(sound_path(tmp_path / "clips", ID), dtype="float32")
    expected = np.concatenate([block(i / 10).samples for i in range(20, 70)])
    assert rate_hz == RATE_HZ
    assert np.array_equal(samples, expected)
    assert on_disk.status.written == 1


def test_disabled_it_does_nothing_and_takes_no_memory(tmp_path: Path) -> None:
    found = ClipKeeper(ClipSettings(), tmp_path / "clips", ["main"])
    play(found, 10.0)
    found.event("main", ID, 4.0, 5.0, *EVENT)
    found.lost("main")
    found.close(DEADLINE_S)
    assert (found.status, found.latest("main")) == (ClipStatus(), None)
    assert found._inputs["main"].recent.bytes == 0
    assert own_files(tmp_path) == []


def test_an_event_told_late_still_has_all_of_its_sound(collected: Collected) -> None:
    """Whatever found it took 10 s, and the event was as long as a clip may be."""
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    play(found, 100.0)
    found.event("main", ID, 62.0, 88.0, *EVENT)
    (clip,) = collected.clips
    assert spans(clip) == [(60.0, 90.0)]


def test_a_long_event_is_cut_to_the_longest_clip(collected: Collected) -> None:
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    play(found, 100.0)
    found.event("main", ID, 70.0, 120.0, *EVENT)
    (clip,) = collected.clips
    assert spans(clip) == [(68.0, 98.0)]


def test_an_input_that_is_lost_or_ends_closes_its_clip_with_what_there_is(
    collected: Collected,
) -> None:
    """D08: what comes after the gap isn't waited for, and other inputs aren't concerned."""
    found = ClipKeeper(ENABLED, Path("unused"), ["a", "b"])
    for name in ("a", "b"):
        play(found, 5.0, name=name)
        found.event(name, ID, 3.0, 4.5, *EVENT)
    found.lost("a")
    (clip,) = collected.clips
    assert (clip.input, spans(clip)) == ("a", [(1.0, 5.0)])
    found.close(DEADLINE_S)
    assert [c.input for c in collected.clips] == ["a", "b"]
    assert collected.closed


def test_sound_behind_a_hole_closes_a_clip_and_is_a_piece_of_its_own(
    collected: Collected,
) -> None:
    """D08: a gap is marked and never closed up."""
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    play(found, 5.0)
    found.event("main", ID, 3.0, 4.9, *EVENT)
    found.hear("main", block(5.5, 1.0, cut=True))
    assert not collected.clips
    found.hear("main", block(9.0, 1.0, cut=True))
    (clip,) = collected.clips
    assert spans(clip) == [(1.0, 5.0), (5.5, 6.5)]


def test_a_clip_of_an_input_that_stops_without_a_word_is_not_waited_for(
    collected: Collected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E12: every wait has a deadline; any other input's sound is enough to notice."""
    now_s = 1_000.0
    monkeypatch.setattr(keeper, "time", SimpleNamespace(monotonic=lambda: now_s))
    found = ClipKeeper(ENABLED, Path("unused"), ["a", "b"])
    play(found, 5.0, name="a")
    found.event("a", ID, 3.0, 4.0, *EVENT)
    now_s += 1.0 + keeper.PATIENCE_S
    found.hear("b", block(0.0))
    assert not collected.clips
    now_s += 0.1
    found.hear("b", block(0.1))
    assert [clip.input for clip in collected.clips] == ["a"]


def test_a_flood_of_events_is_bounded_and_counted(collected: Collected) -> None:
    """Sound that never comes on is no reason to remember everything."""
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    play(found, 5.0)
    for i in range(MOST_INCOMPLETE + 9):
        found.event("main", ulid(NOW_S, i), 3.0, 4.0, *EVENT)
    assert collected.lost_clips == 9
    found.lost("main")
    assert [c.event_id for c in collected.clips] == [
        ulid(NOW_S, i) for i in range(9, MOST_INCOMPLETE + 9)
    ]


def test_an_event_whose_sound_is_gone_is_counted(collected: Collected) -> None:
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    play(found, 60.0)
    found.event("main", ID, 5.0, 6.0, *EVENT)
    assert (collected.clips, collected.lost_clips) == ([], 1)


def test_an_id_that_is_no_name_of_a_file_is_refused(collected: Collected) -> None:
    found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    with pytest.raises(ValueError, match="no ULID"):
        found.event("main", "../../etc/cron.d/x", 0.0, 1.0, *EVENT)
    assert not collected.clips


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(st.tuples(st.floats(0, 20), st.floats(0.1, 10), st.floats(0, 8)), max_size=8),
    holes=st.sets(st.integers(1, 39), max_size=4),
)
def test_each_event_has_one_clip_within_its_span_or_is_counted(
    events: list[tuple[float, float, float]], holes: set[int]
) -> None:
    """However events and holes come: nothing twice, nothing forgotten, nothing beyond its span."""
    collected = Collected()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keeper, "ClipWriter", lambda *_: collected)
        found = ClipKeeper(ENABLED, Path("unused"), ["main"])
    told = sorted((start + length + late, start, length) for start, length, late in events)
    wanted = {ulid(NOW_S, i): told[i] for i in range(len(told))}
    left = dict(wanted)
    for i in range(40):
        if i not in holes:
            found.hear("main", block(i, 1.0, cut=i - 1 in holes))
        for event_id, (told_s, start, length) in list(left.items()):
            if told_s <= i + 1:
                found.event("main", event_id, start, start + length, *EVENT)
                del left[event_id]
    found.close(DEADLINE_S)
    ids = [clip.event_id for clip in collected.clips]
    assert len(ids) == len(set(ids))
    assert len(ids) + collected.lost_clips == len(wanted)
    for clip in collected.clips:
        _, start, length = wanted[clip.event_id]
        assert clip.start_s >= start - 2.0 - 1e-3
        assert clip.end_s <= start + length + 2.0 + 1e-3
        heard_s = sum(p.end_s - p.at_s for p in clip.pieces)
        span_s = min(start + length + 2.0, 40.0) - max(start - 2.0, 0.0)
        missing_s = sum(1.0 for hole in holes if start - 3.0 < hole < start + length + 2.0)
        assert heard_s >= span_s - missing_s - 1e-3


def test_pillow_is_loaded_with_the_first_picture_only() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT], capture_output=True, text=True, timeout=120, check=True
    )
    modules = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in modules
    assert "PIL" not in modules
