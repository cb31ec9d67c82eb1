"""The resampler: the same samples for every chunking, the right length, level and spectrum."""

from math import gcd

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from edge.resample import HALF_LENGTH, KAISER_BETA, Resampler, lowpass

FloatArray = NDArray[np.float32]

NODE_HZ = 32_000
COMMON_HZ = (4_000, 8_000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000, 192_000, 384_000)
ODD_PAIRS = ((7, 5), (5, 7), (1, 9), (9, 1), (160, 147), (101, 100), (3, 3))
PAIRS = [*((rate, NODE_HZ) for rate in COMMON_HZ), *ODD_PAIRS]
STOP_BAND_DB = -60.0


def resampled(sound: FloatArray, from_hz: int, to_hz: int) -> FloatArray:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(sound), resampler.finish()])


def tone(frequency_hz: float, rate_hz: int, seconds: float = 0.25) -> FloatArray:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    return np.asarray(np.sin(2 * np.pi * frequency_hz * time_s), np.float32)


def middle(samples: FloatArray) -> FloatArray:
    """The inner half, away from the silence at both ends."""
    quarter = len(samples) // 4
    return samples[quarter:-quarter]


def level_db(samples: FloatArray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@given(st.sampled_from(PAIRS), st.integers(0, 4_000), st.lists(st.integers(0, 4_000)))
@settings(max_examples=150, deadline=None)
def test_the_output_is_the_same_bit_for_bit_however_the_sound_is_cut(
    pair: tuple[int, int], length: int, cuts: list[int]
) -> None:
    sound = np.random.default_rng(length).standard_normal(length).astype(np.float32)
    resampler = Resampler(*pair)
    parts = [resampler.push(block) for block in np.split(sound, sorted(cuts))]
    parts.append(resampler.finish())
    assert np.array_equal(np.concatenate(parts), resampled(sound, *pair))


@given(st.sampled_from(PAIRS), st.integers(0, 3_000))
@settings(max_examples=150, deadline=None)
def test_the_length_is_the_ceiling_of_the_rate_ratio(pair: tuple[int, int], length: int) -> None:
    from_hz, to_hz = pair
    divisor = gcd(from_hz, to_hz)
    up, down = to_hz // divisor, from_hz // divisor
    assert len(resampled(np.ones(length, np.float32), from_hz, to_hz)) == -(-length * up // down)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_an_empty_sound_gives_no_samples(pair: tuple[int, int]) -> None:
    assert resampled(np.empty(0, np.float32), *pair).shape == (0,)


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_one_sample_is_enough(pair: tuple[int, int]) -> None:
    out = resampled(np.ones(1, np.float32), *pair)
    assert len(out) >= 1
    assert np.isfinite(out).all()
    assert out[0] > 0.05 * min(1.0, pair[1] / pair[0])


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_the_output_is_float32(pair: tuple[int, int]) -> None:
    assert resampled(np.ones(50, np.float32), *pair).dtype == np.float32


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_constant_keeps_its_level(pair: tuple[int, int]) -> None:
    length = 200 * -(-pair[0] // min(pair))
    out = middle(resampled(np.ones(length, np.float32), *pair))
    assert np.allclose(out, 1.0, atol=2e-3)


@pytest.mark.parametrize("from_hz", COMMON_HZ)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.85])
def test_a_tone_below_both_nyquist_frequencies_is_reproduced_in_phase(
    from_hz: int, share: float
) -> None:
    frequency_hz = share * min(from_hz, NODE_HZ) / 2
    out = resampled(tone(frequency_hz, from_hz), from_hz, NODE_HZ)
    expected = tone(frequency_hz, NODE_HZ)[: len(out)]
    assert level_db(middle(out[: len(expected)] - expected)) < STOP_BAND_DB + 3


@pytest.mark.parametrize("from_hz", [44_100, 48_000, 96_000, 192_000, 384_000])
def test_a_tone_above_the_new_nyquist_frequency_does_not_fold_back(from_hz: int) -> None:
    highest = 0.98 * from_hz / 2
    for frequency_hz in np.linspace(1.15 * NODE_HZ / 2, highest, 7):
        out = resampled(tone(float(frequency_hz), from_hz), from_hz, NODE_HZ)
        assert level_db(middle(out)) < STOP_BAND_DB


@pytest.mark.parametrize("from_hz", [4_000, 8_000, 16_000, 22_050])
def test_raising_the_rate_adds_nothing_above_the_old_nyquist_frequency(from_hz: int) -> None:
    out = middle(resampled(tone(0.8 * from_hz / 2, from_hz, 0.5), from_hz, NODE_HZ))
    power = np.abs(np.fft.rfft(out * np.hanning(len(out)))) ** 2
    above = np.fft.rfftfreq(len(out), 1 / NODE_HZ) > from_hz / 2
    assert 10 * np.log10(power[above].max() / power.max()) < STOP_BAND_DB


@pytest.mark.parametrize("from_hz", [rate for rate in COMMON_HZ if rate != NODE_HZ])
def test_an_impulse_stays_where_it_was_in_time(from_hz: int) -> None:
    sound = np.zeros(from_hz // 5, np.float32)
    sound[from_hz // 10] = 1.0
    peak = int(np.argmax(resampled(sound, from_hz, NODE_HZ)))
    assert abs(peak / NODE_HZ - (from_hz // 10) / from_hz) <= 0.5 / NODE_HZ


def test_the_same_rate_passes_every_sample_on_at_once() -> None:
    sound = tone(100.0, NODE_HZ)
    assert np.array_equal(Resampler(NODE_HZ, NODE_HZ).push(sound), sound)


@pytest.mark.parametrize("from_hz", [rate for rate in COMMON_HZ if rate != NODE_HZ])
def test_sound_is_held_back_for_less_than_a_tenth_of_a_second(from_hz: int) -> None:
    out = Resampler(from_hz, NODE_HZ).push(np.ones(from_hz, np.float32))
    assert len(out) > 0.9 * NODE_HZ


@pytest.mark.parametrize("widest", [2, 3, 147, 441])
def test_the_filter_is_scipys(widest: int) -> None:
    half = HALF_LENGTH * widest
    expected = signal.firwin(2 * half + 1, 1.0 / widest, window=("kaiser", KAISER_BETA))
    assert np.allclose(lowpass(half, widest), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair[0] != pair[1]], ids=str)
def test_the_output_is_what_scipy_computes_in_double_precision(pair: tuple[int, int]) -> None:
    sound = np.random.default_rng(1).uniform(-1, 1, 3_000).astype(np.float32)
    up, down = pair[1] // gcd(*pair), pair[0] // gcd(*pair)
    half = HALF_LENGTH * max(up, down)
    lead = -half % down
    taps = np.concatenate([np.zeros(lead), up * lowpass(half, max(up, down))])
    expected = signal.upfirdn(taps, sound.astype(np.float64), up, down)[(half + lead) // down :]
    out = resampled(sound, *pair)
    length = min(len(out), len(expected))
    assert len(out) - length <= up  # `upfirdn` ends with the last whole output
    assert np.abs(out[:length] - expected[:length]).max() < 2e-6


@given(st.sampled_from(PAIRS), st.integers(0, 3_000), st.integers(1, 3_000))
@settings(max_examples=150, deadline=None)
def test_it_tells_how_many_samples_it_needs_for_so_many_more(
    pair: tuple[int, int], before: int, outputs: int
) -> None:
    resampler = Resampler(*pair)
    resampler.push(np.zeros(before, np.float32))
    missing = resampler.samples_for(outputs)
    if missing:
        early = resampler.push(np.zeros(missing - 1, np.float32))
        assert len(early) < outputs
        outputs -= len(early)
        assert resampler.samples_for(outputs) == 1
    assert len(resampler.push(np.zeros(min(1, missing), np.float32))) >= (outputs if missing else 0)
