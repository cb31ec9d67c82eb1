"""Windows and columns: each cell of the map once, from one window, whatever the blocks are."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibration.backbones import BackboneSource, builtin_backbone
from edge.embedding import Columns, Embedder, Windows, column_s, row_edges_hz, rows_below
from edge.frontend import LogMel, band_edges_hz

FloatArray = NDArray[np.float32]
Int8Array = NDArray[np.int8]

RATE_HZ = 32_000
HOP, FRAMES_PER_COLUMN = 320, 8
COLUMN_SAMPLES = HOP * FRAMES_PER_COLUMN


@pytest.fixture(scope="module")
def source() -> BackboneSource:
    return builtin_backbone()


def noise(samples: int) -> FloatArray:
    random = np.random.default_rng(samples)
    return (0.05 * random.standard_normal(samples)).astype(np.float32)


def embedder(source: BackboneSource, rate_hz: int = RATE_HZ) -> Embedder:
    return Embedder(source.front_end, source.backbone, rate_hz=rate_hz, limit_hz=rate_hz / 2)


def columns_of(source: BackboneSource, blocks: list[FloatArray], rate_hz: int = RATE_HZ) -> Columns:
    stream = embedder(source, rate_hz)
    parts = [*(stream.push(block) for block in blocks), stream.finish()]
    return Columns(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def embed(source: BackboneSource, blocks: list[FloatArray]) -> Int8Array:
    return columns_of(source, blocks).embeddings


def are_same(found: Columns, expected: Columns) -> bool:
    return np.array_equal(found.embeddings, expected.embeddings) and np.array_equal(
        found.bands_db, expected.bands_db
    )


def windows_of(source: BackboneSource, sound: FloatArray) -> tuple[list[FloatArray], int]:
    """All windows, and how many inner columns of theirs hold sound."""
    info = source.backbone.info
    windows = Windows(source.front_end, info, rate_hz=RATE_HZ, limit_hz=RATE_HZ / 2)
    early = windows.push(sound)
    last, columns = windows.finish()
    return early + last, columns + len(early) * (info.grid_columns - 2 * info.context_columns)


@given(length=st.integers(1, 3 * RATE_HZ), cuts=st.lists(st.integers(0, 3 * RATE_HZ), max_size=9))
@settings(max_examples=25, deadline=None)
def test_embeddings_and_levels_are_the_same_bit_for_bit_however_the_sound_is_cut(
    source: BackboneSource, length: int, cuts: list[int]
) -> None:
    sound = noise(length)
    cut = columns_of(source, np.split(sound, sorted(cuts)))
    assert are_same(cut, columns_of(source, [sound]))


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 48_000])
def test_the_columns_of_resampled_sound_do_not_depend_on_the_blocks(
    source: BackboneSource, rate_hz: int
) -> None:
    sound = noise(2 * rate_hz)
    blocks = np.split(sound, range(0, len(sound), 1_237))
    whole = columns_of(source, [sound], rate_hz)
    assert are_same(columns_of(source, blocks, rate_hz), whole)


@given(length=st.integers(1, 4 * RATE_HZ))
@settings(max_examples=40, deadline=None)
def test_there_is_a_column_for_every_eight_frames_begun(
    source: BackboneSource, length: int
) -> None:
    frames = -(-length // HOP)
    columns = -(-frames // FRAMES_PER_COLUMN)
    info = source.backbone.info
    assert embed(source, [noise(length)]).shape == (columns, info.grid_rows, info.dimension)


@pytest.mark.parametrize("columns", range(1, 20))
def test_short_sounds_from_one_column_up_have_all_their_columns(
    source: BackboneSource, columns: int
) -> None:
    assert len(embed(source, [noise(columns * COLUMN_SAMPLES)])) == columns


def test_a_sound_without_samples_has_no_columns(source: BackboneSource) -> None:
    info = source.backbone.info
    assert embed(source, []).shape == (0, info.grid_rows, info.dimension)


def test_nothing_is_embedded_before_a_window_is_complete(source: BackboneSource) -> None:
    stream = embedder(source)
    assert len(stream.push(noise(70 * HOP)).embeddings) == 0
    assert len(stream.push(noise(30 * HOP)).embeddings) == 8


@given(length=st.integers(COLUMN_SAMPLES, 3 * RATE_HZ))
@settings(max_examples=30, deadline=None)
def test_the_inner_parts_of_the_windows_hold_every_frame_once_and_in_order(
    source: BackboneSource, length: int
) -> None:
    sound = noise(length)
    log_mel = LogMel(source.front_end, limit_hz=RATE_HZ / 2)
    log_mel.push(sound)
    frames = log_mel.finish()
    context = source.backbone.info.context_columns * FRAMES_PER_COLUMN
    windows, _ = windows_of(source, sound)
    inner = np.concatenate([window[context:-context] for window in windows])
    assert np.allclose(inner[: len(frames)], frames, atol=1e-4)
    assert len(inner) - len(frames) < source.backbone.info.window_frames - 2 * context


@given(rate_hz=st.sampled_from((16_000, 32_000, 44_100, 48_000)), block=st.integers(1, 9_000))
@settings(max_examples=20, deadline=None)
def test_a_window_is_complete_as_soon_as_its_last_sample_is_there(
    source: BackboneSource, rate_hz: int, block: int
) -> None:
    """What waits, waits no longer than in one piece."""
    front_end, info = source.front_end, source.backbone.info
    small, large = (
        Windows(front_end, info, rate_hz=rate_hz, limit_hz=rate_hz / 2) for _ in range(2)
    )
    sound = noise(3 * rate_hz)
    pushed, found = 0, 0
    while found == 0:
        found = len(small.push(sound[pushed : pushed + block]))
        pushed += block
    assert len(large.push(sound[: pushed - block])) == 0
    assert len(large.push(sound[pushed - block : pushed])) == found


def test_each_window_begins_with_the_end_of_the_one_before(source: BackboneSource) -> None:
    overlap = 2 * source.backbone.info.context_columns * FRAMES_PER_COLUMN
    windows, _ = windows_of(source, noise(3 * RATE_HZ))
    assert len(windows) > 3
    for before, after in pairwise(windows):
        assert np.array_equal(before[-overlap:], after[:overlap])


def test_each_cell_comes_from_the_inside_of_exactly_one_window(source: BackboneSource) -> None:
    sound = noise(3 * RATE_HZ)
    info = source.backbone.info
    windows, columns = windows_of(source, sound)
    grids = [source.backbone.embed(window) for window in windows]
    inner = info.grid_columns - 2 * info.context_columns
    embedded = embed(source, [sound])
    assert len(embedded) == columns
    for column in range(columns):
        window, place = divmod(column, inner)
        assert np.array_equal(embedded[column], grids[window][info.context_columns + place])


def test_a_windows_edges_are_continued_by_the_mirror_image(source: BackboneSource) -> None:
    windows, _ = windows_of(source, noise(RATE_HZ))
    context = source.backbone.info.context_columns * FRAMES_PER_COLUMN
    first = windows[0]
    assert np.array_equal(first[:context], first[context + 1 : 2 * context + 1][::-1])


def frames_of(source: BackboneSource, sound: FloatArray) -> FloatArray:
    log_mel = LogMel(source.front_end, limit_hz=RATE_HZ / 2)
    log_mel.push(sound)
    return log_mel.finish()


def test_the_level_of_a_band_is_the_mean_of_its_frames_in_db(source: BackboneSource) -> None:
    sound, info = noise(50 * COLUMN_SAMPLES), source.backbone.info
    frames = frames_of(source, sound).reshape(50, FRAMES_PER_COLUMN, info.mel_bands)
    unit_db = source.front_end.log_scale * 10 / np.log(10)
    found = columns_of(source, [sound]).bands_db
    assert np.allclose(found, frames.mean(axis=1) * unit_db, atol=1e-2)


def test_twice_the_amplitude_is_six_decibels_more_in_every_cell(source: BackboneSource) -> None:
    sound = 8 * noise(2 * RATE_HZ)  # well above the floor of the logarithm
    soft, loud = columns_of(source, [sound]), columns_of(source, [2 * sound])
    assert np.allclose(loud.levels_db - soft.levels_db, 20 * np.log10(2), atol=0.05)


def test_the_level_of_a_cell_is_the_mean_of_its_bands(source: BackboneSource) -> None:
    info, columns = source.backbone.info, columns_of(source, [noise(RATE_HZ)])
    bands = columns.bands_db.reshape(-1, info.grid_rows, info.bands_per_row)
    assert columns.levels_db.shape == columns.embeddings.shape[:2]
    assert np.allclose(columns.levels_db, bands.mean(axis=2))


@pytest.mark.parametrize("rows", [1, 5, 16])
def test_the_lowest_rows_keep_their_own_levels(source: BackboneSource, rows: int) -> None:
    whole = columns_of(source, [noise(RATE_HZ)])
    lowest = whole.rows(rows)
    assert np.array_equal(lowest.embeddings, whole.embeddings[:, :rows])
    assert np.array_equal(lowest.levels_db, whole.levels_db[:, :rows])


@pytest.mark.parametrize("limit_hz", [0.0, 50.0, 500.0, 2_000.0, 4_000.0, 8_000.0, 15_000.0])
def test_a_row_counts_when_half_of_its_bands_are_below_the_limit(
    source: BackboneSource, limit_hz: float
) -> None:
    info = source.backbone.info
    tops = band_edges_hz(source.front_end)[1:].reshape(info.grid_rows, info.bands_per_row)
    half = (tops <= limit_hz).sum(axis=1) >= info.bands_per_row / 2
    assert rows_below(limit_hz, source.front_end, info) == int(half.sum())


def test_no_row_is_below_zero_and_all_are_below_the_highest_band(source: BackboneSource) -> None:
    info, front_end = source.backbone.info, source.front_end
    assert rows_below(0.0, front_end, info) == 0
    assert rows_below(front_end.high_hz, front_end, info) == info.grid_rows


def test_rows_are_bounded_by_the_edges_of_their_bands(source: BackboneSource) -> None:
    edges = row_edges_hz(source.front_end, source.backbone.info)
    assert len(edges) == source.backbone.info.grid_rows + 1
    bands = band_edges_hz(source.front_end)
    assert (edges[0], edges[1], edges[-1]) == (bands[0], bands[8], bands[-1])


def test_a_column_lasts_eighty_milliseconds(source: BackboneSource) -> None:
    assert column_s(source.front_end, source.backbone.info) == pytest.approx(0.08)
