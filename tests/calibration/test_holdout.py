"""Held out in turn: no quarter is measured with a bank that holds it."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.holdout import SHORTEST_TO_CHECK_S, HoldOut
from edge.durable import LEFTOVER
from edge.embedding import Columns
from edge.nearest import Bank

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from numpy.typing import NDArray

    from calibration.scale_fit import Segment

    Int8Array = NDArray[np.int8]

ROWS, DIMENSION, BANDS = 3, 16, 2
COLUMN_S, SCALE = 1.0, np.float32(0.5)
ROOMY = 10_000
CHECKED = round(SHORTEST_TO_CHECK_S / COLUMN_S)  # columns from which on the last tenth is kept


def columns_of(count: int, seed: int) -> Columns:
    """Embeddings none of which is like another, and levels that tell their place."""
    random = np.random.default_rng(seed)
    embeddings = random.integers(-128, 128, (count, ROWS, DIMENSION)).astype(np.int8)
    bands_db = (1_000 * seed + np.arange(count * ROWS * BANDS)).reshape(count, ROWS * BANDS)
    return Columns(embeddings, bands_db.astype(np.float32))


def hold_out(folder: Path, expected: float, limit: int = ROOMY) -> HoldOut:
    """Ready for one lesson of about so many columns."""
    held = HoldOut(
        folder, rows=ROWS, dimension=DIMENSION, limit=limit, column_s=COLUMN_S, scale=SCALE
    )
    held.begin(expected)
    return held


def add(held: HoldOut, recordings: list[Columns], block: int = 7, number: int = 0) -> None:
    """Recordings, numbered from `number` on."""
    for recording, columns in enumerate(recordings, number):
        held.cut()
        for first in range(0, len(columns.embeddings), block):
            part = slice(first, first + block)
            blocks = Columns(columns.embeddings[part], columns.bands_db[part])
            held.add(blocks, recording, first)


def split(columns: Columns, *places: int) -> list[Int8Array]:
    return np.split(columns.embeddings, places)


def nearest(queries: Int8Array, rows: list[Int8Array]) -> NDArray[np.float64]:
    """Distances by definition, [n, ROWS]."""
    flat, bank = queries.reshape(-1, DIMENSION), np.concatenate(rows).reshape(-1, DIMENSION)
    wide = flat[:, None].astype(np.int64) - bank[None].astype(np.int64)
    squared = (wide**2).sum(axis=2).min(axis=1)
    return np.asarray(np.sqrt(squared).reshape(-1, ROWS) * SCALE)


def distances(segments: list[Segment]) -> NDArray[np.float32]:
    return np.concatenate([segment.distances for segment in segments])


def test_each_quarter_is_measured_with_a_bank_of_exactly_the_other_three(tmp_path: Path) -> None:
    sound = columns_of(80, 1)
    quarters = split(sound, 20, 40, 60)
    with hold_out(tmp_path, 80) as held:
        add(held, [sound])
        found = held.held_out()
    assert [len(segment.distances) for segment in found] == [20] * 4
    for number, segment in enumerate(found):
        others = quarters[:number] + quarters[number + 1 :]
        assert np.allclose(segment.distances, nearest(quarters[number], others), rtol=1e-5)


@given(
    lengths=st.lists(st.integers(0, 90), min_size=1, max_size=5).filter(lambda n: sum(n) >= 4),
    believed=st.floats(0.8, 1.2),
    block=st.integers(1, 40),
    limit=st.sampled_from([5, ROOMY]),
)
@settings(max_examples=40, deadline=None)
def test_no_stretch_is_measured_with_a_bank_that_holds_it(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    believed: float,
    block: int,
    limit: int,
) -> None:
    """Every embedding is unlike all others: a distance of zero would be its own."""
    recordings = [columns_of(length, seed) for seed, length in enumerate(lengths)]
    with hold_out(tmp_path_factory.getbasetemp(), believed * sum(lengths), limit) as held:
        add(held, recordings, block)
        found = held.held_out() + held.check(Bank(held.bank().rows))
    assert distances(found).min() > 0
    assert len(distances(found)) == sum(lengths)


def test_the_last_tenth_is_in_no_bank(tmp_path: Path) -> None:
    sound = columns_of(CHECKED, 2)
    learnt, last = split(sound, round(0.9 * CHECKED))
    with hold_out(tmp_path, CHECKED) as held:
        add(held, [sound])
        chosen = held.bank()
        measured, check = held.held_out(), held.check(Bank(chosen.rows))
    assert sorted(map(bytes, chosen.rows)) == sorted(map(bytes, learnt.reshape(-1, DIMENSION)))
    assert held.seen == len(learnt) * ROWS
    assert len(distances(measured)) == len(learnt)
    assert np.allclose(distances(check), nearest(last, [learnt]), rtol=1e-5)


def test_of_sound_too_short_to_check_everything_is_learnt(tmp_path: Path) -> None:
    sound = columns_of(CHECKED - 1, 3)
    with hold_out(tmp_path, CHECKED - 1) as held:
        add(held, [sound])
        chosen = held.bank()
        assert held.check(Bank(chosen.rows)) == []
    assert len(chosen.rows) == held.seen == (CHECKED - 1) * ROWS


def test_an_origin_leads_back_to_the_recording_and_column_of_its_row(tmp_path: Path) -> None:
    recordings = [columns_of(length, length) for length in (30, 1, 49)]
    with hold_out(tmp_path, 80, limit=25) as held:
        add(held, recordings)
        chosen = held.bank()
        places = [held.origin(int(number)) for number in chosen.origins]
    assert len(chosen.rows) == 25
    for row, (recording, column) in zip(chosen.rows, places, strict=True):
        assert (recordings[recording].embeddings[column] == row).all(axis=1).any()


def test_a_stretch_ends_where_its_recording_or_its_quarter_ends(tmp_path: Path) -> None:
    with hold_out(tmp_path, 80) as held:
        add(held, [columns_of(30, 4), columns_of(50, 5)])
        found = held.held_out()
    assert [len(segment.distances) for segment in found] == [20, 10, 10, 20, 20]


def test_two_recordings_in_one_quarter_are_two_stretches(tmp_path: Path) -> None:
    with hold_out(tmp_path, 80) as held:
        add(held, [columns_of(length, length) for length in (5, 7, 68)])
        found = held.held_out()
    assert [len(segment.distances) for segment in found][:3] == [5, 7, 8]


def test_each_lesson_has_quarters_of_its_own(tmp_path: Path) -> None:
    one, other = columns_of(40, 13), columns_of(80, 14)
    with hold_out(tmp_path, 40) as held:
        add(held, [one])
        held.begin(80)
        add(held, [other], number=1)
        found = held.held_out()
    assert [len(segment.distances) for segment in found] == [10] * 4 + [20] * 4
    quarters = [split(one, 10, 20, 30), split(other, 20, 40, 60)]
    for number, segment in enumerate(found):
        lesson, quarter = divmod(number, 4)
        others = [part for parts in quarters for part in parts[:quarter] + parts[quarter + 1 :]]
        expected = nearest(quarters[lesson][quarter], others)
        assert np.allclose(segment.distances, expected, rtol=1e-5)


def test_each_stretch_has_the_levels_of_its_own_columns(tmp_path: Path) -> None:
    sound = columns_of(80, 6)
    with hold_out(tmp_path, 80) as held:
        add(held, [sound])
        found = held.held_out()
    assert np.array_equal(np.concatenate([s.levels_db for s in found]), sound.levels_db)


@given(block=st.integers(1, 90))
@settings(max_examples=15, deadline=None)
def test_how_the_sound_is_cut_makes_no_difference(
    tmp_path_factory: pytest.TempPathFactory, block: int
) -> None:
    found = []
    for size in (block, 90):
        with hold_out(tmp_path_factory.getbasetemp(), 120, limit=40) as held:
            add(held, [columns_of(90, 7), columns_of(30, 8)], size)
            found.append((held.bank(), held.held_out()))
    (bank, segments), (same_bank, same_segments) = found
    assert np.array_equal(bank.rows, same_bank.rows)
    assert np.array_equal(bank.origins, same_bank.origins)
    for segment, same in zip(segments, same_segments, strict=True):
        assert np.array_equal(segment.distances, same.distances)
        assert np.array_equal(segment.levels_db, same.levels_db)


def test_rows_above_those_of_the_map_are_left_out(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    taller = random.integers(-128, 128, (40, ROWS + 2, DIMENSION)).astype(np.int8)
    bands_db = np.zeros((40, (ROWS + 2) * BANDS), np.float32)
    with hold_out(tmp_path, 40) as held:
        add(held, [Columns(taller, bands_db)])
        chosen = held.bank()
    heard = set(map(bytes, taller[:, :ROWS].reshape(-1, DIMENSION)))
    assert set(map(bytes, chosen.rows)) == heard


def test_the_bank_has_as_many_rows_as_it_may_have(tmp_path: Path) -> None:
    """Also where that is more than the default number of bytes for each quarter."""
    random, dimension, limit = np.random.default_rng(10), 340, 7_000
    embeddings = random.integers(-128, 128, (limit, 1, dimension)).astype(np.int8)
    with HoldOut(
        tmp_path, rows=1, dimension=dimension, limit=limit, column_s=0.01, scale=SCALE
    ) as held:
        held.begin(limit)
        held.add(Columns(embeddings, np.zeros((limit, 2), np.float32)), 0, 0)
        assert len(held.bank().rows) == limit


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with hold_out(tmp_path, 80) as held:
        add(held, [columns_of(80, 11)])
        held.held_out()
    assert list(tmp_path.iterdir()) == []


def test_the_normal_level_of_a_band_is_its_median_within_half_a_step(tmp_path: Path) -> None:
    random = np.random.default_rng(12)
    bands_db = random.normal(20.0, 8.0, (80, ROWS * BANDS)).astype(np.float32)
    with hold_out(tmp_path, 80) as held:
        add(held, [Columns(columns_of(80, 12).embeddings, bands_db)])
        found = held.bands_db
    ordered = np.sort(bands_db, axis=0)
    assert (ordered[39] - 0.26 <= found).all()
    assert (found <= ordered[40] + 0.26).all()


def test_what_a_power_cut_leaves_of_its_files_is_known_as_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system without nameless files they have names for a moment."""
    monkeypatch.setattr(tempfile, "_O_TMPFILE_WORKS", False)
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", lambda *_: None)  # the cut comes before
        with hold_out(tmp_path, 10):
            pass
    names = [entry.name for entry in tmp_path.iterdir()]
    assert names
    assert all(name.startswith(LEFTOVER) for name in names)
