"""Pictures: colours that can be trusted, axes in seconds and Hz, boxes where they belong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.frontend import hz_to_mel
from edge.pictures.colours import (
    INK,
    OUTLINE,
    PAPER,
    evidence_colours,
    evidence_legend,
    palette,
    sound_colours,
)
from edge.pictures.images import Axes, Layer, Outline, Sheet, largest, time_ticks
from edge.pictures.spectrograms import Pooled
from tests.edge.pictures.pixels import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

AXES = Axes(10.0, 20.0, 20.0, 14_000.0)
WIDTH, TEXT, HEIGHT = 800, 16, 300


def drawn(*outlines: Outline, cells: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A sheet with one panel."""
    if cells is None:
        cells = sound_colours(np.zeros((50, 16), np.float32), 0.0, 1.0)
    sheet = Sheet(WIDTH, TEXT)
    sheet.panel("A panel", Layer(cells, 10.0, 20.0), AXES, height_px=HEIGHT, outlines=outlines)
    return pixels(sheet.png())


def plot_corner(picture: NDArray[np.uint8]) -> tuple[int, int]:
    """Left and top edge of the plot: its frame is the first long line of ink."""
    ink = (picture == INK).all(axis=2)
    left = np.flatnonzero(ink.sum(axis=0) >= HEIGHT)[0]
    top = np.flatnonzero(ink.sum(axis=1) >= WIDTH // 2)[0]
    return int(left) + 1, int(top) + 1


def test_nothing_is_white_and_evidence_has_colour_from_the_alarm_level_on() -> None:
    evidence = np.asarray([[-3.0, 0.0, 0.5, 0.99, 1.0, 3.0, 8.0, 1e6]], np.float32)
    colours = evidence_colours(evidence)[0].astype(int)
    is_grey = colours.max(axis=1) == colours.min(axis=1)
    assert colours[0].tolist() == colours[1].tolist() == list(PAPER)
    assert is_grey.tolist() == [True] * 4 + [False] * 4
    assert colours[6].tolist() == colours[7].tolist()


def test_more_is_darker() -> None:
    rising = np.linspace(0, 1, 200, dtype=np.float32)[:, None]
    for colours in (sound_colours(rising, 0, 1), evidence_colours(1 + 7 * rising)):
        brightness = colours.astype(int).sum(axis=2)[:, 0]
        assert (np.diff(brightness) <= 0).all()
        assert brightness[0] > 1.5 * brightness[-1]


def test_a_picture_has_exactly_the_colours_of_its_palette() -> None:
    allowed = {tuple(c) for c in palette().tolist()}
    evidence = np.random.default_rng(0).uniform(-1, 10, (50, 16)).astype(np.float32)
    cells = evidence_colours(evidence)
    picture = drawn(cells=cells)
    found = {tuple(colour) for colour in picture.reshape(-1, 3).tolist()}
    assert found <= allowed
    assert {tuple(colour) for colour in cells.reshape(-1, 3).tolist()} <= found


def test_the_legend_turns_from_grey_to_colour_once() -> None:
    colours = evidence_legend().pixels[:, 0].astype(int)
    is_grey = colours.max(axis=1) == colours.min(axis=1)
    assert np.count_nonzero(np.diff(is_grey.astype(int))) == 1


def test_a_cell_lies_where_its_time_and_row_are() -> None:
    levels = np.zeros((50, 16), np.float32)
    levels[20, 12] = 1.0  # 14.0 to 14.2 s, three quarters up
    picture = drawn(cells=sound_colours(levels, 0.0, 1.0))
    left, top = plot_corner(picture)
    width = Sheet(WIDTH, TEXT).plot_px[1]
    darkest = (picture == (8, 38, 92)).all(axis=2)
    rows, columns = np.nonzero(darkest)
    assert (columns.min() - left) / width == pytest.approx(0.40, abs=0.004)
    assert (columns.max() + 1 - left) / width == pytest.approx(0.42, abs=0.004)
    assert (rows.max() + 1 - top) / HEIGHT == pytest.approx(1 - 12 / 16, abs=0.01)
    assert (rows.min() - top) / HEIGHT == pytest.approx(1 - 13 / 16, abs=0.01)


@settings(deadline=None, max_examples=30)  # each draws a picture
@given(
    start_s=st.floats(10.5, 14.0),
    length_s=st.floats(1.0, 5.0),
    low_hz=st.floats(50.0, 4_000.0),
    ratio=st.floats(1.5, 3.0),
)
def test_a_box_lies_where_its_event_is(
    start_s: float, length_s: float, low_hz: float, ratio: float
) -> None:
    box = Outline(start_s, start_s + length_s, low_hz, low_hz * ratio)
    picture = drawn(box)
    left, top = plot_corner(picture)
    width = Sheet(WIDTH, TEXT).plot_px[1]
    rows, columns = np.nonzero((picture == OUTLINE).all(axis=2))
    low, high = hz_to_mel(AXES.low_hz), hz_to_mel(AXES.high_hz)
    for pixel, time_s in ((columns.min(), box.start_s), (columns.max(), box.end_s)):
        assert abs((pixel - left) / width * 10 + 10 - time_s) < 10 * 3 / width
    for pixel, frequency_hz in ((rows.min(), box.high_hz), (rows.max(), box.low_hz)):
        share = 1 - (pixel - top) / HEIGHT
        assert abs(share - (hz_to_mel(frequency_hz) - low) / (high - low)) < 4 / HEIGHT


def test_a_box_beyond_the_axes_is_cut_to_them_and_a_tiny_one_is_still_seen() -> None:
    for box in (Outline(0.0, 99.0, 1.0, 1e5, "8"), Outline(15.0, 15.0, 500.0, 500.0, "8")):
        picture = drawn(box)
        assert (picture == OUTLINE).all(axis=2).sum() > 20
        assert picture.shape[1] == WIDTH


def test_a_name_too_long_or_unprintable_stays_within_the_picture() -> None:
    sheet = Sheet(WIDTH, TEXT)
    sheet.write("a\nb\x00" + "W" * 500, 1.4)
    picture = pixels(sheet.png())
    assert picture.shape == (round(1.5 * round(1.4 * TEXT)) + TEXT // 2, WIDTH, 3)
    assert (picture[:, -TEXT // 2 :] == 255).all()


@given(start_s=st.floats(0, 1e5), span_s=st.floats(0.08, 1e5), most=st.integers(2, 12))
def test_ticks_are_round_times_within_the_span(start_s: float, span_s: float, most: int) -> None:
    ticks = time_ticks(start_s, start_s + span_s, most)
    assert len(ticks) <= most + 1
    assert all(start_s - 1e-3 <= tick <= start_s + span_s + 1e-3 for tick in ticks)
    assert time_ticks(0.0, 30.0, 8) == [0, 5, 10, 15, 20, 25, 30]
    assert time_ticks(-2.0, 2.0, 5) == [0, 1, 2], "there is no sound before the first second"


def test_the_largest_of_neighbours_is_kept() -> None:
    cells = np.zeros((1_000, 3), np.float32)
    cells[777, 1] = 5.0
    pooled = largest(cells, 100)
    assert pooled.shape == (100, 3)
    assert pooled[77, 1] == 5.0
    assert (largest(cells, 2_000) == cells).all()


@settings(deadline=None)
@given(st.lists(st.integers(0, 70), max_size=20), st.integers(1, 50))
def test_pooling_is_bounded_and_does_not_depend_on_how_the_stream_is_cut(
    cuts: list[int], most: int
) -> None:
    stream = np.random.default_rng(1).normal(size=(sum(cuts), 4)).astype(np.float32)
    if not len(stream):
        return
    for by in ("mean", "largest"):
        once, cut = Pooled(len(stream), most, by), Pooled(len(stream), most, by)
        once.add(stream)
        for part in np.split(stream, np.cumsum(cuts)[:-1]):
            cut.add(part)
        whole = once.finish()
        assert len(whole) <= most
        assert np.allclose(cut.finish(), whole)
    assert np.allclose(whole.max(axis=0), stream.max(axis=0))
