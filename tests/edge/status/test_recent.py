"""The last twenty seconds: bounded, coarse, evidence beside the levels of its own time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.status.recent import KEPT_S, MOST_COLUMNS, NARROWEST_DB, Recent
from edge.status.snapshot import EVIDENCE_STEPS, LEVELS, Picture
from tests.edge.status.snapshots import COLUMN_S, EDGES_HZ, ROWS, recent

if TYPE_CHECKING:
    from numpy.typing import NDArray

EACH = 3  # columns of 80 ms in one of the picture


def pooled(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    whole = len(cells) - len(cells) % EACH
    return np.asarray(cells[:whole].reshape(-1, EACH, cells.shape[1]).max(axis=1))


def shown(made: Recent) -> Picture:
    picture = made.picture()
    assert picture is not None
    return picture


@settings(deadline=None)
@given(
    cuts=st.lists(st.integers(0, 40), max_size=12),
    lag=st.integers(0, 60),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_the_same_however_the_sound_is_cut(cuts: list[int], lag: int, seed: int) -> None:
    random, total = np.random.default_rng(seed), sum(cuts)
    levels_db = random.uniform(-90, 0, (total, ROWS)).astype(np.float32)
    evidence = random.uniform(0, 9, (total, ROWS)).astype(np.float32)
    made, at, weighed = Recent(COLUMN_S, EDGES_HZ), 0, 0
    for cut in cuts:
        known = max(weighed, at + cut - lag)
        made.add(levels_db[at : at + cut], evidence[weighed:known])
        at, weighed = at + cut, known
    expected = pooled(levels_db)[-MOST_COLUMNS:]
    if not len(expected):
        assert made.picture() is None
        return
    picture = shown(made)
    half_step_db = (picture.high_db - picture.low_db) / LEVELS / 2 + 0.02
    assert np.abs(picture.levels_db() - expected).max() <= half_step_db
    known_cells = pooled(evidence[:weighed])
    first = len(pooled(levels_db)) - len(expected)
    found = picture.evidence_map()
    for column in range(len(expected)):
        if first + column < len(known_cells):
            wanted = np.minimum(known_cells[first + column], 254 / EVIDENCE_STEPS)
            assert np.abs(found[column] - wanted).max() <= 0.5 / EVIDENCE_STEPS + 1e-6
        else:
            assert np.isnan(found[column]).all()


def test_it_keeps_twenty_seconds_and_no_more() -> None:
    picture = shown(recent(columns=10_000))
    assert picture.columns == MOST_COLUMNS
    assert picture.columns * picture.column_s >= KEPT_S
    assert len(picture.levels) == len(picture.evidence) == MOST_COLUMNS * ROWS


def test_the_score_is_the_largest_evidence_of_the_last_second() -> None:
    made = Recent(COLUMN_S, EDGES_HZ)
    assert made.score() is None
    quiet, loud = np.zeros((30, ROWS), np.float32), np.full((3, ROWS), 2.5, np.float32)
    made.add(quiet, np.concatenate([quiet, loud]))
    assert made.score() == 2.5
    made.add(quiet, quiet)
    assert made.score() == 0.0


def test_quiet_sound_is_not_stretched_until_it_looks_loud() -> None:
    made = Recent(COLUMN_S, EDGES_HZ)
    made.add(np.full((9, ROWS), -70, np.float32), np.zeros((0, ROWS), np.float32))
    picture = shown(made)
    assert picture.high_db - picture.low_db == NARROWEST_DB
