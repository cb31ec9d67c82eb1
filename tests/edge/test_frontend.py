"""The log-mel front end: frames centred on their hops, the same for every chunking."""

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.frontend import FrontEnd, LogMel, band_edges_hz, hz_to_mel, mel_filters, mel_to_hz

FloatArray = NDArray[np.float32]

FRONT_END = FrontEnd()
HOP = FRONT_END.hop_length
LEAST = 1e-4  # float32 through an FFT whose batches differ in size


def noise(samples: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


def tone(frequency_hz: float, samples: int = 6_400) -> FloatArray:
    time_s = np.arange(samples) / FRONT_END.sample_rate_hz
    return np.asarray(0.3 * np.sin(2 * np.pi * frequency_hz * time_s), np.float32)


def frames_of(
    sound: FloatArray, front_end: FrontEnd = FRONT_END, limit_hz: float | None = None
) -> FloatArray:
    log_mel = LogMel(front_end, limit_hz=limit_hz)
    log_mel.push(sound)
    return log_mel.finish()


@given(
    st.integers(1, 9_000),
    st.lists(st.integers(0, 9_000), max_size=8),
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
)
@settings(max_examples=80, deadline=None)
def test_the_frames_are_the_same_however_the_sound_is_cut_and_pulled(
    length: int, cuts: list[int], pulls: list[int]
) -> None:
    sound = noise(length, length)
    log_mel = LogMel(FRONT_END)
    parts = []
    for number, block in enumerate(np.split(sound, sorted(cuts))):
        log_mel.push(block)
        wanted = pulls[number % len(pulls)]
        if log_mel.samples_for(wanted) == 0:
            parts.append(log_mel.pull(wanted))
    parts.append(log_mel.finish())
    assert np.allclose(np.concatenate(parts), frames_of(sound), atol=LEAST)


@given(st.lists(st.integers(0, 6_400), max_size=8))
@settings(max_examples=40, deadline=None)
def test_equal_pulls_are_equal_bit_for_bit_however_the_sound_is_cut(cuts: list[int]) -> None:
    sound = noise(6_400)
    whole, cut = LogMel(FRONT_END), LogMel(FRONT_END)
    whole.push(sound)
    for block in np.split(sound, sorted(cuts)):
        cut.push(block)
    for _ in range(3):
        assert np.array_equal(cut.pull(5), whole.pull(5))
    assert np.array_equal(cut.finish(), whole.finish())


@given(st.integers(1, 4_000))
@settings(max_examples=60, deadline=None)
def test_there_is_a_frame_for_every_hop_that_was_begun(length: int) -> None:
    out = frames_of(noise(length))
    assert out.shape == (-(-length // HOP), FRONT_END.mel_bands)
    assert np.isfinite(out).all()


def test_an_empty_sound_has_no_frames() -> None:
    assert frames_of(np.empty(0, np.float32)).shape == (0, FRONT_END.mel_bands)


@given(st.integers(0, 19), st.integers(8, HOP - 9))
@settings(max_examples=100, deadline=None)
def test_an_impulse_peaks_in_the_frame_of_its_hop(hop: int, place: int) -> None:
    at = hop * HOP + place
    sound = np.zeros(20 * HOP, np.float32)
    sound[at] = 1.0
    assert int(np.argmax(frames_of(sound).sum(axis=1))) == hop


def test_silence_has_the_silence_value_in_every_band() -> None:
    out = frames_of(np.zeros(3_200, np.float32))
    assert np.allclose(out, FRONT_END.silence, atol=1e-6)


@pytest.mark.parametrize("limit_hz", [1_000.0, 4_000.0, 8_000.0, 14_000.0])
def test_only_the_bands_above_the_limit_are_silent(limit_hz: float) -> None:
    out = frames_of(noise(6_400), limit_hz=limit_hz)
    above = band_edges_hz(FRONT_END)[:-1] >= limit_hz
    assert np.allclose(out[:, above], FRONT_END.silence, atol=1e-6)
    assert np.array_equal(out[:, ~above], frames_of(noise(6_400))[:, ~above])
    assert 0 < above.sum() < FRONT_END.mel_bands


def test_without_a_limit_no_band_is_silent() -> None:
    assert (frames_of(noise(6_400)).max(axis=0) > FRONT_END.silence + 0.1).all()


@given(
    st.floats(0, 500),
    st.floats(600, 16_000),
    st.integers(2, 128),
)
@settings(max_examples=60, deadline=None)
def test_band_edges_rise_and_stay_within_the_range(low: float, high: float, bands: int) -> None:
    front_end = FrontEnd(low_hz=low, high_hz=high, mel_bands=bands)
    edges = band_edges_hz(front_end)
    assert len(edges) == bands + 1
    assert (np.diff(edges) > 0).all()
    assert low <= edges[0]
    assert edges[-1] <= high


@given(st.floats(0, 20_000))
@settings(deadline=None)
def test_hz_and_mel_are_inverse_to_each_other(frequency_hz: float) -> None:
    assert float(mel_to_hz(hz_to_mel(frequency_hz))) == pytest.approx(frequency_hz, abs=1e-6)


def test_a_thousand_hertz_are_a_thousand_mel() -> None:
    assert float(hz_to_mel(1_000.0)) == pytest.approx(1_000.0, abs=0.1)


@pytest.mark.parametrize("frequency_hz", [500.0, 1_000.0, 3_000.0, 9_000.0, 14_000.0])
def test_a_tone_is_loudest_in_the_band_whose_edges_hold_it(frequency_hz: float) -> None:
    loudest = int(np.argmax(frames_of(tone(frequency_hz))[5:-5].mean(axis=0)))
    edges = band_edges_hz(FRONT_END)
    bin_hz = FRONT_END.sample_rate_hz / FRONT_END.fft_size
    assert edges[loudest] - bin_hz <= frequency_hz <= edges[loudest + 1] + bin_hz


def test_neighbouring_filters_share_each_frequency_and_sum_to_one() -> None:
    filters = mel_filters(FRONT_END)
    bins_hz = np.arange(len(filters)) * FRONT_END.sample_rate_hz / FRONT_END.fft_size
    inside = (bins_hz > 100) & (bins_hz < 14_600)
    assert np.allclose(filters[inside].sum(axis=1), 1.0, atol=1e-4)
    assert (filters >= 0).all()


@given(st.integers(1, 12), st.integers(0, 2_000))
@settings(max_examples=60, deadline=None)
def test_samples_for_is_exactly_what_a_pull_needs(frames: int, already: int) -> None:
    log_mel = LogMel(FRONT_END)
    log_mel.push(noise(already))
    missing = log_mel.samples_for(frames)
    if missing > 0:
        too_short = LogMel(FRONT_END)
        too_short.push(noise(already + missing - 1))
        with pytest.raises(ValueError, match="frames need"):
            too_short.pull(frames)
        log_mel.push(noise(missing - 1))
        assert log_mel.samples_for(frames) == 1
        log_mel.push(noise(1))
    assert log_mel.samples_for(frames) == 0
    assert log_mel.pull(frames).shape == (frames, FRONT_END.mel_bands)


@pytest.mark.parametrize("samples", [0, 1, 500])
def test_a_pull_without_enough_samples_is_refused(samples: int) -> None:
    log_mel = LogMel(FRONT_END)
    log_mel.push(noise(samples))
    with pytest.raises(ValueError, match="3 frames need"):
        log_mel.pull(3)


def test_a_refused_pull_changes_nothing() -> None:
    sound = noise(3_200)
    log_mel = LogMel(FRONT_END)
    log_mel.push(sound[:100])
    with pytest.raises(ValueError, match="frames need"):
        log_mel.pull(3)
    log_mel.push(sound[100:])
    assert np.allclose(log_mel.finish(), frames_of(sound), atol=LEAST)


@pytest.mark.parametrize("gain_db", [-20.0, 6.0, 20.0])
def test_the_gain_shifts_loud_bands_by_its_decibels(gain_db: float) -> None:
    sound = noise(6_400)
    louder = msgspec.structs.replace(FRONT_END, gain_db=gain_db, power_floor=1e-12)
    plain = msgspec.structs.replace(FRONT_END, power_floor=1e-12)
    shift = frames_of(sound, louder) - frames_of(sound, plain)
    assert np.allclose(shift, gain_db / 10 * np.log(10) / FRONT_END.log_scale, atol=1e-3)


def test_a_frame_lasts_one_hop() -> None:
    assert FrontEnd(sample_rate_hz=16_000, hop_length=160).frame_s == 0.01
