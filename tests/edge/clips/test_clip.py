"""A clip's sound and picture: every sample at its time, holes as holes."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.clips.clip import Box, Clip
from edge.clips.flac import flac_bytes
from edge.clips.picture import WIDTH_PX, clip_picture
from edge.clips.recent import Piece
from edge.pictures.colours import NORMAL_COLOURS, OUTLINE
from tests.edge.clips.sounds import NOW_S, noise, ulid
from tests.edge.pictures.pixels import pixels

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID = ulid(NOW_S)
BOX = Box(11.0, 12.0, 900.0, 1_100.0)


def clip(*pieces: Piece, box: Box = BOX) -> Clip:
    return Clip("pump", ID, box, list(pieces))


def tone(at_s: float, seconds: float, rate_hz: int, tone_hz: float = 1_000.0) -> Piece:
    times_s = at_s + np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 8_000 * np.sin(2 * np.pi * tone_hz * times_s)
    return Piece(np.rint(wave).astype(np.int16), rate_hz, at_s)


@settings(deadline=None)
@given(
    lengths=st.lists(st.integers(1, 60), min_size=1, max_size=6),
    holes=st.lists(st.integers(0, 30), min_size=6, max_size=6),
)
def test_every_sample_is_at_its_time_and_holes_are_silent(
    lengths: list[int], holes: list[int]
) -> None:
    pieces, expected, frame = [], list[int](), 80
    for number, (length, hole) in enumerate(zip(lengths, holes, strict=False)):
        gap = hole if number else 0
        samples = np.arange(1, length + 1).astype(np.int16)
        frame += gap
        pieces.append(Piece(samples, 8, frame / 8))
        expected += [0] * gap + samples.tolist()
        frame += length
    found = clip(*pieces)
    assert found.sound().tolist() == expected
    samples, rate_hz = soundfile.read(io.BytesIO(flac_bytes(found)), dtype="int16")
    assert (samples.tolist(), rate_hz) == (expected, 8)
    silent_s = sum(end_s - start_s for start_s, end_s in found.breaks_s())
    assert silent_s == pytest.approx(sum(holes[1 : len(lengths)]) / 8)


def test_a_file_tells_what_it_holds() -> None:
    found = clip(tone(10.0, 2.0, 8_000), tone(12.5, 1.0, 8_000), tone(13.5, 1.0, 8_000))
    with soundfile.SoundFile(io.BytesIO(flac_bytes(found))) as file:
        assert (file.channels, file.format, file.subtype) == (1, "FLAC", "PCM_16")
        assert file.title == f"pump {ID}"
        assert file.date == "2025-11-25T12:00:00Z"
        assert file.comment == (
            "event 1.00-2.00 s, 900-1100 Hz; begins at 10.00 s of the stream; "
            "no sound 2.00-2.50 s; cut 3.50"
        )


def test_a_hole_that_nobody_hears_is_told_as_a_cut() -> None:
    (told,) = clip(tone(10.0, 1.0, 8_000), tone(11.0005, 1.0, 8_000)).breaks_s()
    assert told == pytest.approx((1.0, 1.0), abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_a_stream_in_crumbs_has_a_picture() -> None:
    """C05: an overload that never ends; there is a hole in every column."""
    crumbs = [tone(10.0 + i / 50, 0.01, 32_000) for i in range(801)]
    assert pixels(clip_picture(clip(*crumbs))).shape[1] == WIDTH_PX


@pytest.mark.parametrize("other_hz", [16_000, 44_100])
def test_a_device_that_came_back_at_another_rate_has_the_rate_of_the_event(other_hz: int) -> None:
    """B11: the piece with the event is kept as it was; the other one sounds the same."""
    found = clip(tone(10.0, 2.5, 8_000), tone(13.0, 1.0, other_hz))
    sound = found.sound()
    assert found.rate_hz == 8_000
    assert len(sound) == 4 * 8_000
    assert sound[:20_000].tolist() == found.pieces[0].samples.tolist()
    assert not sound[20_000:24_000].any()
    expected = tone(13.0, 1.0, 8_000).samples
    inner = slice(200, -200)
    assert np.abs(sound[24_000:][inner] - expected[inner].astype(float)).max() < 100


@pytest.mark.parametrize("rate_hz", [4_000, 48_000, 96_000, 384_000])
def test_every_rate_that_a_microphone_may_have_can_be_written(rate_hz: int) -> None:
    piece = Piece(noise(1.0, rate_hz=rate_hz), rate_hz, 10.5)
    samples, read_hz = soundfile.read(io.BytesIO(flac_bytes(clip(piece))), dtype="int16")
    assert (len(samples), read_hz) == (rate_hz, rate_hz)
    assert clip_picture(clip(piece))


def columns_with(picture: NDArray[np.uint8], colour: tuple[int, int, int]) -> NDArray[np.int64]:
    """In which columns most of the plot has a colour."""
    matches = (picture == colour).all(axis=2).sum(axis=0)
    return np.flatnonzero(matches > picture.shape[0] / 2)


def test_the_picture_has_the_box_around_the_tone_and_grey_where_no_sound_came() -> None:
    quiet = Piece((noise(4.0) // 300).astype(np.int16), 8_000, 10.0)
    loud = quiet.samples.copy()
    loud[8_000:16_000] += tone(11.0, 1.0, 8_000).samples
    found = clip(quiet._replace(samples=loud), Piece(quiet.samples[:8_000], 8_000, 15.0))
    picture = pixels(clip_picture(found))
    assert picture.shape[1] == WIDTH_PX
    grey = columns_with(picture, NORMAL_COLOURS[-1])
    rows, columns = np.nonzero((picture == OUTLINE).all(axis=2))
    left, width = 51, 827  # of the plot: see Sheet.plot_px
    assert (grey.min() - left) / width == pytest.approx(4.0 / 6.0, abs=0.01)
    assert (grey.max() - left) / width == pytest.approx(5.0 / 6.0, abs=0.01)
    assert (columns.min() - left) / width == pytest.approx(1.0 / 6.0, abs=0.01)
    assert (columns.max() - left) / width == pytest.approx(2.0 / 6.0, abs=0.01)
    inside = picture[rows.min() + 3 : rows.max() - 2, columns.min() + 3 : columns.max() - 2]
    above = picture[rows.min() - 20 : rows.min() - 5, columns.min() + 3 : columns.max() - 2]
    assert inside.astype(int).sum(axis=2).min() < 300, "the tone is dark"
    assert above.astype(int).sum(axis=2).mean() > 450, "what is beside it is light"


@settings(max_examples=40, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.integers(1, 900), st.sampled_from([4_000, 8_000, 48_000]), st.integers(0, 99)),
        min_size=1,
        max_size=4,
    ),
    level=st.sampled_from([0, 1, 30_000]),
    box=st.tuples(st.floats(0, 30), st.floats(0, 30), st.floats(0, 2e4), st.floats(0, 2e4)),
)
def test_there_is_a_picture_of_whatever_was_heard(
    pieces: list[tuple[int, int, int]], level: int, box: tuple[float, float, float, float]
) -> None:
    """Silence, a single sample, holes and boxes beyond the edge are no reason to fail."""
    at_s, placed = 10.0, []
    for length, rate_hz, hole_ms in pieces:
        at_s += hole_ms / 1_000
        samples = (noise(1.0, rate_hz=rate_hz)[:length] / 3_000 * level).astype(np.int16)
        placed.append(Piece(samples, rate_hz, at_s))
        at_s += length / rate_hz
    found = clip(*placed, box=Box(*box))
    assert pixels(clip_picture(found)).shape[1] == WIDTH_PX
    assert soundfile.info(io.BytesIO(flac_bytes(found))).frames == len(found.sound())
