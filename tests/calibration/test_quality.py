"""The quality of calibration sound: what is unfit is named, left out or refused, and nothing else.

The machines are simulated ones; the last test asks real recordings.
"""

from __future__ import annotations

import itertools
import re
import tracemalloc
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.figures import Figures, gather
from calibration.quality import assess
from calibration.simulator import Machine
from calibration.survey import survey
from convert.main import main
from edge.errors import RecordingError
from edge.recording import RecordingInfo, read_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from calibration.findings import Finding, Quality

    Sound = NDArray[np.float64]

RATE_HZ = 16_000
MINUTE_S = 60
LAST_BIT = 2.0**-15


@cache
def long_sound() -> Sound:
    """Seven minutes of one machine, as a 16-bit recording holds them."""
    return np.asarray(np.round(Machine(7, RATE_HZ).normal(420, 0) / LAST_BIT) * LAST_BIT)


def machine_sound(seconds: int = 200) -> Sound:
    """The first of it, to be changed at will."""
    assert seconds <= 420
    return long_sound()[: seconds * RATE_HZ].copy()


def seconds_of(sound: Sound, start_s: float, end_s: float) -> slice:
    assert 0 <= start_s < end_s <= len(sound) / RATE_HZ
    return slice(round(start_s * RATE_HZ), round(end_s * RATE_HZ))


def noise(seconds: float, level_dbfs: float, seed: int = 0) -> Sound:
    random = np.random.default_rng(seed)
    return np.asarray(10 ** (level_dbfs / 20) * random.standard_normal(round(seconds * RATE_HZ)))


def hammering(seconds: float, seed: int = 1) -> Sound:
    """About two blows a second that ring for a moment, with pauses of up to three seconds."""
    random = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    ring_s = np.arange(RATE_HZ // 4) / RATE_HZ
    at_s = 0.0
    while at_s < seconds - 0.3:
        first = round(at_s * RATE_HZ)
        blow = np.exp(-ring_s / 0.03) * np.sin(2 * np.pi * random.uniform(900, 1_100) * ring_s)
        sound[first : first + len(blow)] += random.uniform(0.3, 0.6) * blow
        at_s += 3.0 if random.random() < 0.05 else random.uniform(0.3, 0.6)
    return sound


def figures(sound: Sound, name: str = "a.wav", *, block: int = 65_536) -> Figures:
    info = RecordingInfo(Path(name), RATE_HZ, 1, len(sound))
    narrow = sound.astype(np.float32)
    blocks = (narrow[i : i + block] for i in range(0, len(narrow), block))
    return gather(info, blocks, RATE_HZ / 2)


def judged(*sounds: Sound, accept: bool = False) -> Quality:
    return assess([figures(s, f"{i}.wav") for i, s in enumerate(sounds)], accept=accept)


def refusal(*sounds: Sound, accept: bool = False) -> str:
    with pytest.raises(RecordingError) as caught:
        judged(*sounds, accept=accept)
    return str(caught.value)


def only(quality: Quality) -> Finding:
    (finding,) = quality.findings
    return finding


def test_a_running_machine_is_learnt_whole_and_nothing_is_said() -> None:
    quality = judged(machine_sound())
    assert quality.findings == []
    assert quality.left_out == {}
    assert quality.remaining_s == 200.0


@given(seed=st.integers(0, 10_000), level_db=st.floats(-25, 20), cut=st.integers(1, 40))
@settings(max_examples=6, deadline=None)
def test_any_machine_at_any_level_in_any_cut_passes_untouched(
    seed: int, level_db: float, cut: int
) -> None:
    sound = Machine(seed, RATE_HZ).normal(61.0, 1) * 10 ** (level_db / 20)
    parts = [part for part in np.split(sound, [cut * RATE_HZ]) if len(part)]
    assert judged(*parts).findings == []


# silent, frozen, repeated


def test_silence_all_through_is_refused_even_when_all_is_accepted() -> None:
    """E09."""
    for accept in (False, True):
        text = refusal(np.zeros(60 * RATE_HZ), accept=accept)
        assert "0.wav: silent throughout (down to -200 dBFS)" in text
        assert "check the microphone" in text


def test_a_microphone_that_died_half_way_is_refused_with_the_time() -> None:
    """E02: after a brownout the device opens fine, and is silent."""
    sound = machine_sound()
    sound[seconds_of(sound, 100, 200)] = 0.0
    assert "silent from 100 to 200 s" in refusal(sound)


def test_a_short_dropout_is_left_out_and_the_rest_learnt() -> None:
    """E01: zeros for less than a second."""
    sound = machine_sound()
    sound[seconds_of(sound, 100.3, 100.6)] = 0.0
    quality = judged(sound)
    assert {finding.severity for finding in quality.findings} == {"leave out"}
    assert quality.findings[0].kind == "silent"
    ((start_s, end_s),) = quality.left_out["0.wav"]
    assert start_s <= 100.3
    assert end_s >= 100.6
    assert end_s - start_s <= 4
    assert quality.remaining_s == pytest.approx(200 - (end_s - start_s))


@pytest.mark.parametrize("value", [0.001, 0.5, -1.0])
def test_a_constant_value_is_frozen(value: float) -> None:
    """E09: a dead converter delivers one value."""
    text = refusal(np.full(60 * RATE_HZ, value), accept=True)
    assert f"frozen throughout (it stays at {value:.3g})" in text


@given(period=st.integers(256, RATE_HZ - 64), seed=st.integers(0, 100))
@settings(max_examples=10, deadline=None)
def test_a_buffer_that_comes_again_and_again_is_frozen_whatever_its_length(
    period: int, seed: int
) -> None:
    """E11, D13: the stream is active, and stuck."""
    buffer = machine_sound()[seed * RATE_HZ :][:period]
    stuck = np.resize(buffer, 20 * RATE_HZ)
    text = refusal(np.concatenate([machine_sound(20), stuck]))
    told = re.search(r"the same (\d+) ms again and again", text)
    assert told is not None
    assert float(told[1]) == pytest.approx(1000 * period / RATE_HZ, abs=0.51)
    assert "frozen from 2" in text


def test_a_driver_stuck_for_a_few_seconds_is_left_out() -> None:
    sound = machine_sound()
    sound[seconds_of(sound, 50, 60)] = np.resize(sound[:1_024], 10 * RATE_HZ)
    quality = judged(sound)
    assert "frozen" in {finding.kind for finding in quality.findings}
    assert covers(quality.left_out["0.wav"], 51, 60)


def test_a_copy_of_a_recording_teaches_nothing_and_is_left_out() -> None:
    sound = machine_sound(60)
    quality = judged(sound, sound.copy())
    assert only(quality).kind == "repeated"
    assert only(quality).recording == "1.wav"
    assert quality.remaining_s == 60.0


def covers(parts: list[tuple[float, float]], start_s: float, end_s: float) -> bool:
    return any(start <= start_s and end >= end_s for start, end in parts)


# clipped, offset, hum


@pytest.mark.parametrize("plateau", [1.0, 0.5, 0.05])
def test_sound_cut_off_at_any_height_is_clipped(plateau: float) -> None:
    sound = machine_sound(60)
    loud = np.clip(sound * plateau / np.quantile(np.abs(sound), 0.97), -plateau, plateau)
    text = refusal(loud)
    assert "clipped in 60 of 60 s" in text
    assert f"at {plateau:.2f} of full scale" in text
    assert "Turn the gain down" in text
    assert only(judged(loud, accept=True)).severity == "warn"


@pytest.mark.parametrize("peak", [0.999, 0.01])
def test_sound_that_only_just_fits_is_not_clipped(peak: float) -> None:
    sound = machine_sound(60)
    fitting = np.round(sound * peak / np.abs(sound).max() / LAST_BIT) * LAST_BIT
    assert judged(fitting).findings == []


def test_a_few_quantisation_steps_or_the_round_top_of_a_tone_are_not_clipped() -> None:
    steps = np.random.default_rng(0).integers(-2, 3, 20 * RATE_HZ) * LAST_BIT
    tone = 0.1 * np.sin(2 * np.pi * 97.3183 * np.arange(20 * RATE_HZ) / RATE_HZ)
    for sound in (steps, np.round(tone / LAST_BIT) * LAST_BIT):
        assert judged(sound).findings == []


def test_a_few_clipped_seconds_are_a_warning_with_their_number() -> None:
    """A few of a machine's own strokes may clip: leaving them out would make each an alarm."""
    sound = machine_sound()
    for start_s in range(10, 200, 20):
        part = seconds_of(sound, start_s, start_s + 1)
        sound[part] = np.clip(sound[part], -0.07, 0.07)
        sound[part][::40] = 1.0
    clipped = [f for f in judged(sound).findings if f.kind == "clipped"]
    assert [f.severity for f in clipped] == ["warn"]
    assert "clipped in 10 of 200 s, first at 10 s" in clipped[0].text


@pytest.mark.parametrize(("offset", "faulty"), [(0.05, False), (-0.3, True)])
def test_an_offset_is_a_warning_and_a_large_one_blames_the_microphone(
    offset: float, faulty: bool
) -> None:
    finding = only(judged(machine_sound() + offset))
    assert (finding.kind, finding.severity) == ("offset", "warn")
    assert f"{offset:+.2f}" in finding.text
    assert ("faulty" in finding.text) == faulty


def hum(seconds: int, mains_hz: float) -> Sound:
    time_s = np.arange(seconds * RATE_HZ) / RATE_HZ
    orders = {1: 0.02, 2: 0.01, 3: 0.008, 5: 0.003}
    drift = 1 + 1e-4 * np.sin(time_s / 7)
    return np.asarray(
        sum(a * np.sin(2 * np.pi * mains_hz * k * time_s * drift) for k, a in orders.items())
    )


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_alone_is_refused_and_less_pure_hum_is_a_warning(mains_hz: float) -> None:
    pure = hum(60, mains_hz) + noise(60, -75)
    assert "hardly anything but mains hum throughout" in refusal(pure)
    assert "the rest at -75 dBFS" in refusal(pure)
    assert only(judged(pure, accept=True)).severity == "warn"
    less = only(judged(0.4 * hum(60, mains_hz) + noise(60, -62)))
    assert (less.kind, less.severity) == ("hum", "warn")


def test_a_machine_that_hums_as_well_is_no_hum_only() -> None:
    assert judged(machine_sound(60) + hum(60, 50.0)).findings == []


# two regimes


def stopped(parts: list[tuple[int, bool]]) -> Sound:
    """The machine running or not for so many seconds each; off is 25 dB quieter and dull."""
    running = machine_sound(sum(seconds for seconds, _ in parts))
    sound = noise(len(running) / RATE_HZ, -57, seed=3)
    start = 0
    for seconds, on in parts:
        end = start + seconds * RATE_HZ
        if on:
            sound[start:end] += running[start:end]
        start = end
    return sound


@pytest.mark.parametrize("on_first", [True, False])
def test_a_machine_that_stops_half_way_is_two_regimes(on_first: bool) -> None:
    text = refusal(stopped([(100, on_first), (100, not on_first)]))
    assert text.startswith("0.wav: two regimes: ")
    assert "from 0 s of 0.wav to 100 s; " in text
    assert "from 100 s of 0.wav to 200 s" in text
    assert "Record only the running machine" in text
    assert "calibrate --add" in text


def test_both_levels_and_the_recording_of_the_change_are_named() -> None:
    sound = stopped([(100, True), (100, False)])
    text = refusal(*np.split(sound, [70 * RATE_HZ, 120 * RATE_HZ]))
    assert text.startswith("1.wav: two regimes")
    assert "to 30 s of 1.wav; " in text


def test_a_lasting_change_of_colour_at_the_same_level_is_two_regimes() -> None:
    low, high = Machine(1, RATE_HZ).normal(120.0, 0), np.diff(noise(120, -30), prepend=0.0)
    level = np.sqrt(np.mean(low**2) / np.mean(high**2))
    text = refusal(np.concatenate([low, level * high]))
    assert "two regimes" in text
    assert "Hz from" in text


def test_both_regimes_are_learnt_whole_when_that_is_accepted() -> None:
    quality = judged(stopped([(100, True), (100, False)]), accept=True)
    assert (only(quality).kind, only(quality).severity) == ("two regimes", "warn")
    assert quality.remaining_s == 200.0


def test_a_long_stop_in_the_middle_is_two_regimes_as_well() -> None:
    assert "two regimes" in refusal(stopped([(70, True), (60, False), (70, True)]))


@given(on_s=st.integers(4, 25), off_s=st.integers(4, 25), first=st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_machine_that_cycles_is_neither_two_regimes_nor_contaminated(
    on_s: int, off_s: int, first: bool
) -> None:
    parts: list[tuple[int, bool]] = []
    while sum(seconds for seconds, _ in parts) < 5 * (on_s + off_s):
        parts.append((on_s if first else off_s, first))
        first = not first
    quality = judged(stopped(parts))
    assert quality.findings == []


def test_a_slow_drift_is_no_change_of_regime() -> None:
    """A machine that warms up."""
    sound = machine_sound()
    quality = judged(sound * 10 ** (np.linspace(-6, 6, len(sound)) / 20))
    assert quality.findings == []


# contaminated


@pytest.mark.parametrize("start_s", [0, 117, 360])
def test_a_hammered_minute_is_left_out_wherever_it_is_and_no_more(start_s: int) -> None:
    sound = machine_sound(420)
    sound[seconds_of(sound, start_s, start_s + MINUTE_S)] += hammering(MINUTE_S)
    quality = judged(sound)
    assert {(f.kind, f.severity) for f in quality.findings} == {("contaminated", "leave out")}
    (part,) = quality.left_out["0.wav"]
    assert part == pytest.approx((start_s, start_s + MINUTE_S), abs=3)
    assert "stands out" in quality.findings[0].line
    assert "(left out)" in quality.findings[0].line
    assert quality.remaining_s == pytest.approx(360, abs=6)


def test_a_few_blows_are_left_out() -> None:
    sound = machine_sound()
    sound[seconds_of(sound, 100, 103)] += hammering(3)
    quality = judged(sound)
    assert covers(quality.left_out["0.wav"], 100, 102)
    assert quality.remaining_s >= 193


def test_a_wholly_different_recording_among_many_is_left_out_whole() -> None:
    parts = np.split(machine_sound(), 20)
    parts[12] = parts[12] + noise(10, -15)
    quality = judged(*parts)
    assert quality.left_out == {"12.wav": [(0.0, 10.0)]}


def test_what_comes_again_at_other_times_is_part_of_the_machine() -> None:
    """A valve that blows off every minute is what should be learnt."""
    sound = machine_sound()
    for start_s in (10, 70, 130, 190):
        sound[seconds_of(sound, start_s, start_s + 5)] += noise(5, -15, seed=start_s)
    assert judged(sound).findings == []


def test_two_disturbances_are_still_disturbances() -> None:
    sound = machine_sound()
    for start_s in (50, 150):
        sound[seconds_of(sound, start_s, start_s + 5)] += noise(5, -15, seed=start_s)
    assert [f.kind for f in judged(sound).findings] == ["contaminated", "contaminated"]


@given(
    stretches=st.lists(
        st.tuples(st.integers(0, 110), st.integers(1, 40), st.floats(-45, -5)), max_size=6
    ),
    mute=st.lists(st.tuples(st.integers(0, 110), st.integers(1, 20)), max_size=2),
)
@settings(max_examples=15, deadline=None)
def test_whatever_happens_no_more_than_a_quarter_is_left_out_and_the_sum_is_right(
    stretches: list[tuple[int, int, float]], mute: list[tuple[int, int]]
) -> None:
    sound = machine_sound(120)
    for start_s, length_s, level_dbfs in stretches:
        part = seconds_of(sound, start_s, min(120, start_s + length_s))
        sound[part] += noise(120, level_dbfs, seed=start_s)[: len(sound[part])]
    for start_s, length_s in mute:
        sound[seconds_of(sound, start_s, min(120, start_s + length_s))] = 0.0
    try:
        quality = judged(sound)
    except RecordingError as error:
        assert all(line.startswith(("0.wav: ", "... and ")) or "more than" in line  # noqa: PT017
                   for line in str(error).splitlines())  # fmt: skip
        return
    parts = quality.left_out.get("0.wav", [])
    out_s = sum(end_s - start_s for start_s, end_s in parts)
    assert out_s <= 30
    assert quality.remaining_s == pytest.approx(120 - out_s)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(parts))
    for start_s, length_s in mute:
        assert covers(parts, start_s, min(120, start_s + length_s))


def test_every_reason_is_named_a_line_each_and_many_of_a_kind_are_counted() -> None:
    parts = np.split(machine_sound(), 20)
    mute = [0 * part if i % 3 == 0 else part for i, part in enumerate(parts)]
    mute[1] = np.full_like(mute[1], 0.5)
    lines = refusal(*mute).splitlines()
    assert [line.split(":")[1][:7] for line in lines[:3]] == [" silent"] * 3
    assert lines[3] == "... and 4 more: silent"


# the pass over the recordings


def test_how_the_sound_is_cut_into_blocks_changes_no_figure() -> None:
    sound = machine_sound()[: round(12.3 * RATE_HZ)]
    whole = figures(sound, block=10**9)
    assert len(whole.seconds) == 12
    assert whole.seconds["end_s"][-1] == pytest.approx(12.3)
    for block in (999, RATE_HZ, 65_536):
        assert figures(sound, block=block).seconds.tobytes() == whole.seconds.tobytes()


def test_memory_does_not_grow_with_the_sound() -> None:
    """H16: hours of sound are not held."""
    random = np.random.default_rng(0)

    def blocks(count: int) -> Iterator[NDArray[np.float32]]:
        for _ in range(count):
            yield (0.1 * random.standard_normal(65_536)).astype(np.float32)

    def peak_bytes(count: int) -> int:
        info = RecordingInfo(Path("a.wav"), RATE_HZ, 1, count * 65_536)
        tracemalloc.start()
        try:
            gather(info, blocks(count), RATE_HZ / 2)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    grown = peak_bytes(80) - peak_bytes(10)
    assert grown < 70 * 65_536 * 4 / 20


def test_what_is_kept_of_a_recording_is_every_sample_outside_the_cuts_in_pieces(
    tmp_path: Path,
) -> None:
    """FLAC: seeking must find the very sample."""
    sound = machine_sound(120)
    sound[seconds_of(sound, 30, 33)] = 0.0
    soundfile.write(tmp_path / "a.flac", sound, RATE_HZ)
    heard = survey(tmp_path)
    (recording,) = heard.recordings
    before, after = heard.kept(recording)
    ((cut_from_s, cut_to_s),) = heard.quality.left_out[str(tmp_path / "a.flac")]
    assert (before.start_s, before.duration_s) == (0.0, cut_from_s)
    assert (after.start_s, after.start_s + after.duration_s) == (cut_to_s, 120.0)
    stored = np.concatenate(list(read_blocks(recording)))
    for piece in (before, after):
        samples = np.concatenate(list(piece.blocks()))
        assert np.array_equal(samples, stored[piece.start : piece.end])
    assert heard.duration_s == pytest.approx(heard.quality.remaining_s)


def test_the_level_is_that_of_what_is_kept(tmp_path: Path) -> None:
    """Else a hammered minute would turn the machine's own gain down."""
    sound = machine_sound(420)
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ)
    clean_dbfs = survey(tmp_path).level_dbfs
    sound[seconds_of(sound, 200, 230)] += hammering(30)
    soundfile.write(tmp_path / "a.wav", sound, RATE_HZ)
    assert survey(tmp_path).level_dbfs == pytest.approx(clean_dbfs, abs=0.11)


def test_calibrate_prints_each_finding_on_a_line_and_learns_without_what_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "normal").mkdir()
    sound = machine_sound(60)
    sound[seconds_of(sound, 20, 24)] = 0.0
    soundfile.write(tmp_path / "normal" / "a.wav", sound + 0.05, RATE_HZ)
    arguments = ["calibrate", str(tmp_path / "bundle"), "--normal", str(tmp_path / "normal")]
    assert main([*arguments, "--bank-rows", "50"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert sum("a constant offset of +0.05" in line for line in lines) == 1
    assert sum("frozen from 20 to 24 s" in line and "(left out)" in line for line in lines) == 1


def test_calibrate_refuses_two_regimes_until_all_is_accepted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "normal").mkdir()
    soundfile.write(tmp_path / "normal" / "a.wav", stopped([(35, True), (35, False)]), RATE_HZ)
    arguments = ["calibrate", str(tmp_path / "bundle"), "--normal", str(tmp_path / "normal")]
    assert main([*arguments, "--bank-rows", "50"]) == 2
    assert "two regimes" in capsys.readouterr().err
    assert not (tmp_path / "bundle").exists()
    assert main([*arguments, "--bank-rows", "50", "--accept-all"]) == 0
    assert "(warning)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("folder", "most"),
    [("slider_id00/normal", 0.02), ("esc10/rain", 0.05), ("esc10/sea_waves", 0.1)],
)
def test_real_recordings_pass_and_hardly_anything_of_them_is_left_out(
    shared: Path, folder: str, most: float
) -> None:
    heard = survey(shared / "data" / folder)
    left_out_s = sum(e - s for parts in heard.quality.left_out.values() for s, e in parts)
    assert left_out_s <= most * (heard.quality.remaining_s + left_out_s)


def test_what_stands_out_is_named_in_a_recording_shorter_than_the_others() -> None:
    short = machine_sound(20)
    short[seconds_of(short, 8, 11)] += noise(3, -5)
    findings = judged(machine_sound(150), short).findings
    assert any(
        (f.kind, f.recording) == ("contaminated", "1.wav") and f.start_s <= 8 and f.end_s >= 11
        for f in findings
    )
