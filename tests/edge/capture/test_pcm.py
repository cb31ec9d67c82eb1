"""Raw PCM on a pipe: any encoding, cut anywhere, and never a wait without an end."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.capture import pcm as pcm_module
from edge.capture.pcm import PcmDecoder, PcmReader
from edge.capture.settings import StdinSource
from edge.capture.sound import Block, Outage

FloatArray = NDArray[np.float32]
Encoding = Literal["s16le", "s32le", "f32le"]

RATE_HZ = 16_000
DEADLINE_S = 20.0
DTYPES: dict[Encoding, str] = {"s16le": "<i2", "s32le": "<i4", "f32le": "<f4"}


def through_a_pipe(data: bytes, settings: StdinSource, *, cut_at: list[int]) -> FloatArray:
    """What a reader makes of bytes that a writer sends in pieces before it closes its end."""
    reading, writing = os.pipe()
    edges = [0, *sorted(cut_at), len(data)]

    def write() -> None:
        for start, end in pairwise(edges):
            os.write(writing, data[start:end])
        os.close(writing)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        items = list(PcmReader(settings, descriptor=reading).blocks(threading.Event()))
    finally:
        writer.join(DEADLINE_S)
        os.close(reading)
    blocks = [item.samples for item in items if isinstance(item, Block)]
    assert all(block.dtype == np.float32 and block.ndim == 1 for block in blocks)
    return np.concatenate([np.empty(0, np.float32), *blocks])


@pytest.mark.parametrize(
    ("encoding", "values", "expected"),
    [
        ("s16le", [-32_768, -1, 0, 16_384], [-1.0, -1 / 32_768, 0.0, 0.5]),
        ("s32le", [-(2**31), 0, 2**30], [-1.0, 0.0, 0.5]),
        ("f32le", [-1.0, 0.25, 1.5], [-1.0, 0.25, 1.5]),
    ],
)
def test_every_encoding_has_full_scale_one(
    encoding: Encoding, values: list[float], expected: list[float]
) -> None:
    data = np.array(values, DTYPES[encoding]).tobytes()
    pcm = StdinSource(rate_hz=RATE_HZ, encoding=encoding)
    assert through_a_pipe(data, pcm, cut_at=[]).tolist() == expected


@given(
    data=st.data(),
    channels=st.integers(1, 5),
    encoding=st.sampled_from(sorted(DTYPES)),
    frames=st.integers(0, 200),
)
@settings(max_examples=40, deadline=None)
def test_frames_may_be_cut_anywhere(
    data: st.DataObject, channels: int, encoding: Encoding, frames: int
) -> None:
    raw = np.random.default_rng(frames).integers(-30_000, 30_000, (frames, channels))
    sent = raw.astype(DTYPES[encoding]).tobytes()
    cut_at = data.draw(st.lists(st.integers(0, len(sent)), max_size=5))
    pcm = StdinSource(rate_hz=RATE_HZ, channels=channels, encoding=encoding)
    full_scale = {"s16le": 2.0**15, "s32le": 2.0**31, "f32le": 1.0}[encoding]
    expected = (raw.mean(axis=1) / full_scale).astype(np.float32)
    np.testing.assert_allclose(through_a_pipe(sent, pcm, cut_at=cut_at), expected, rtol=1e-6)


def test_half_a_frame_at_the_end_is_left_out() -> None:
    pcm = StdinSource(rate_hz=RATE_HZ, channels=2)
    sent = np.array([[100, 300], [500, 700]], "<i2").tobytes() + b"\x01\x02\x03"
    assert (through_a_pipe(sent, pcm, cut_at=[]) * 32_768).tolist() == [200, 600]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_floats_that_are_not_numbers_do_not_get_through(value: float) -> None:
    pcm = StdinSource(rate_hz=RATE_HZ, encoding="f32le")
    sent = np.array([0.5, value, 0.25], "<f4").tobytes()
    samples = through_a_pipe(sent, pcm, cut_at=[])
    assert np.isfinite(samples).all()
    assert samples[[0, 2]].tolist() == [0.5, 0.25]


@contextmanager
def open_pipe() -> Iterator[int]:
    """The reading end of a pipe whose writer stays open and silent."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(writing)
        os.close(reading)


def ends(call: threading.Thread) -> bool:
    call.join(DEADLINE_S)
    return not call.is_alive()


def test_a_reader_stops_while_no_data_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcm_module, "WAIT_S", 0.02)
    stop = threading.Event()
    with open_pipe() as reading:
        reader = PcmReader(StdinSource(rate_hz=RATE_HZ), descriptor=reading)
        thread = threading.Thread(target=lambda: list(reader.blocks(stop)), daemon=True)
        thread.start()
        stop.set()
        assert ends(thread)


def test_a_pipe_on_which_nothing_comes_is_said_to_be_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """E11: a source that is there but gives nothing is not a quiet machine."""
    monkeypatch.setattr(pcm_module, "WAIT_S", 0.02)
    with open_pipe() as reading:
        reader = PcmReader(StdinSource(rate_hz=RATE_HZ), stalled_after_s=0.05, descriptor=reading)
        item = next(reader.blocks(threading.Event()))
    assert isinstance(item, Outage)
    assert item.state == "stalled"


def test_blocks_of_a_pipe_follow_each_other_in_time() -> None:
    reading, writing = os.pipe()
    os.write(writing, np.arange(4_000, dtype="<i2").tobytes())
    os.close(writing)
    blocks = [
        item
        for item in PcmReader(StdinSource(rate_hz=RATE_HZ), descriptor=reading).blocks(
            threading.Event()
        )
        if isinstance(item, Block)
    ]
    os.close(reading)
    assert blocks[0].at_s == 0
    for earlier, later in pairwise(blocks):
        assert later.at_s == pytest.approx(earlier.end_s)
    assert blocks[-1].end_s == pytest.approx(0.25)


def test_one_channel_can_be_chosen_and_clipping_is_seen_before_the_downmix() -> None:
    frames = np.array([[100, 32_767], [200, -32_768], [300, 0]], "<i2")
    first = PcmDecoder(2, "s16le", channel=1).push(frames.tobytes())
    second = PcmDecoder(2, "s16le", channel=2).push(frames.tobytes())
    both = PcmDecoder(2, "s16le").push(frames.tobytes())
    assert (first.samples * 32_768).tolist() == [100, 200, 300]
    assert (second.samples * 32_768).tolist() == [32_767, -32_768, 0]
    assert first.clipped_share == 0.0
    assert second.clipped_share == pytest.approx(2 / 3)
    assert both.clipped_share == pytest.approx(1 / 3)
