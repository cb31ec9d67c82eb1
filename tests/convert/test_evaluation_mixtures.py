"""Mixtures: who is learnt and who is mixed, at what level, and what the masks mark."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from convert.evaluation_masks import CELL_BANDS, CELL_FRAMES, stem_mask
from convert.evaluation_mixtures import BACKGROUND_DBFS, CLIP_S, SNRS_DB, mixture_sets
from convert.pretrain_sounds import RATE_HZ, read_sound
from edge.frontend import FrontEnd, band_edges_hz

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from convert.evaluation_sets import EvaluationSet

    Sound = NDArray[np.float64]

EVENTS_HZ = {"dog_bark": 1_000.0, "rooster": 2_000.0}
FORBIDDEN_HZ = 3_000.0
LOW_RATE_HZ = 16_000
ROW_EDGES_HZ = band_edges_hz(FrontEnd())[::CELL_BANDS]
FOLD_4, FOLD_5 = ("4-100-A", "4-200-A"), ("5-300-A", "5-400-A")
EVENTS = 8


def noise(seed: int, duration_s: float, rate_hz: int, level: float = 0.05) -> Sound:
    random = np.random.default_rng(seed)
    return np.asarray(level * random.standard_normal(round(duration_s * rate_hz)))


def tone(frequency_hz: float, duration_s: float, rate_hz: int, level: float = 0.3) -> Sound:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return np.asarray(level * np.sin(2 * np.pi * frequency_hz * time_s))


def write(path: Path, sound: Sound, rate_hz: int = LOW_RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate_hz)


def tree(data: Path, events: dict[str, Sound]) -> Path:
    """Rain of four loudnesses, events of folds 4 and 5, and what must not be used as an event."""
    for seed, name in enumerate((*FOLD_4, *FOLD_5)):
        write(data / f"esc10/rain/{name}.ogg", noise(seed, 5.0, LOW_RATE_HZ, 0.02 * 2**seed))
    for name, sound in events.items():
        for clip in ("4-1-A", "5-2-A"):
            write(data / f"esc10/{name}/{clip}.ogg", sound, RATE_HZ)
    forbidden = tone(FORBIDDEN_HZ, 2.0, RATE_HZ)
    for name in ("dog_bark/1-3-A", "rooster/2-4-A", "rooster/3-5-A", "helicopter/4-6-A"):
        write(data / f"esc10/{name}.ogg", forbidden, RATE_HZ)
    return data


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def heard(path: Path) -> Sound:
    return np.asarray(soundfile.read(path)[0])


def level_dbfs(sound: Sound) -> float:
    return float(10 * np.log10(np.mean(sound**2)))


def stems(mixed: EvaluationSet) -> list[tuple[Sound, Sound]]:
    """Background and event of every clip with one; every background stands there by itself."""
    plain = [heard(clip.path) for clip in mixed.clips if not clip.anomalous]
    found = []
    for clip in mixed.clips:
        if clip.anomalous:
            sound = heard(clip.path)
            background = min(plain, key=lambda part: float(np.count_nonzero(sound - part)))
            found.append((background, sound - background))
    return found


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    events = {name: tone(pitch_hz, 2.0, RATE_HZ) for name, pitch_hz in EVENTS_HZ.items()}
    return tree(tmp_path_factory.mktemp("data"), events)


@pytest.fixture(scope="module")
def rain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[EvaluationSet]:
    return mixture_sets(data, tmp_path_factory.mktemp("mixed"), 1, EVENTS)


def loudest_hz(event: Sound) -> float:
    return float(np.abs(np.fft.rfft(event)).argmax() * RATE_HZ / len(event))


def test_the_mask_marks_the_cells_of_a_tone_and_nothing_else() -> None:
    background = noise(0, 4.0, RATE_HZ, 0.01)
    event = np.zeros_like(background)
    event[RATE_HZ : 2 * RATE_HZ] = tone(1_000.0, 1.0, RATE_HZ) * np.hanning(RATE_HZ) ** 0.2
    mask = stem_mask(event, background)
    column_s = CELL_FRAMES * FrontEnd().frame_s
    assert mask.shape == (4.0 / column_s, 16)
    row = int(np.searchsorted(ROW_EDGES_HZ, 1_000.0)) - 1
    assert np.flatnonzero(mask.any(axis=0)).tolist() == [row]
    columns = np.flatnonzero(mask[:, row])
    assert columns.tolist() == list(range(int(1.0 / column_s), int(np.ceil(2.0 / column_s))))


def test_an_event_below_the_background_marks_nothing() -> None:
    background = noise(0, 1.0, RATE_HZ)
    assert not stem_mask(noise(1, 1.0, RATE_HZ, 0.005), background).any()


def test_either_fold_is_learnt_once_and_the_other_one_judged(
    data: Path, rain: list[EvaluationSet]
) -> None:
    first, second = rain
    assert first.name == second.name == "mixture, rain"
    assert names(first.normal) == [f"normal-{name}.wav" for name in FOLD_4]
    assert names(second.normal) == [f"normal-{name}.wav" for name in FOLD_5]
    for mixed, judged in ((first, FOLD_5), (second, FOLD_4)):
        plain = [heard(clip.path) for clip in mixed.clips if not clip.anomalous]
        assert len(plain) == len(judged), "each part is judged once"
        for sound, name in zip(plain, judged, strict=True):
            recording = read_sound(data / f"esc10/rain/{name}.ogg")[: len(sound)]
            assert np.corrcoef(sound, recording)[0, 1] > 0.999


def test_every_background_recording_has_the_same_level(rain: list[EvaluationSet]) -> None:
    for mixed in rain:
        paths = [*mixed.normal, *(clip.path for clip in mixed.clips if not clip.anomalous)]
        levels = [level_dbfs(heard(path)) for path in paths]
        assert levels == pytest.approx([BACKGROUND_DBFS] * len(paths), abs=0.01)


def test_a_mixed_clip_is_its_background_and_an_event_at_its_snr(rain: list[EvaluationSet]) -> None:
    for mixed in rain:
        clips = [clip for clip in mixed.clips if clip.anomalous]
        assert len(clips) == EVENTS
        for clip, (background, event) in zip(clips, stems(mixed), strict=True):
            sounding = np.flatnonzero(event)
            assert len(event) == CLIP_S * RATE_HZ
            assert 0.9 * RATE_HZ < sounding[-1] - sounding[0] <= RATE_HZ
            snr_db = 10 * np.log10(event.dot(event) / RATE_HZ / np.mean(background**2))
            assert snr_db == pytest.approx(clip.snr_db, abs=0.05)
            assert clip.mask is not None
            assert clip.mask.any()
            assert np.array_equal(clip.mask, stem_mask(event, background))


def test_snrs_and_event_classes_come_about_equally_often(rain: list[EvaluationSet]) -> None:
    """Six events hold each of two classes at each of three SNRs; eight hold two more."""
    for mixed in rain:
        snrs_db = [clip.snr_db for clip in mixed.clips if clip.anomalous]
        pitches_hz = [round(loudest_hz(event), -2) for _, event in stems(mixed)]
        assert set(pitches_hz) == set(EVENTS_HZ.values()), "of the reporting folds alone"
        assert len(set(zip(snrs_db[:6], pitches_hz[:6], strict=True))) == 6
        assert set(Counter(pitches_hz).values()) == {4}
        assert sorted(Counter(snrs_db).values()) == [2, 3, 3]
        assert set(snrs_db) == set(SNRS_DB)


def test_no_background_carries_more_than_one_event_more_than_another(
    rain: list[EvaluationSet],
) -> None:
    for mixed in rain:
        carried = Counter(float(background[0]) for background, _ in stems(mixed))
        assert set(carried.values()) == {EVENTS // 2}


def test_what_is_learnt_is_not_what_is_judged(rain: list[EvaluationSet]) -> None:
    for mixed in rain:
        learnt = [heard(path)[:RATE_HZ] for path in mixed.normal]
        for clip in mixed.clips:
            start = heard(clip.path)[:RATE_HZ]
            assert all(abs(np.corrcoef(start, other)[0, 1]) < 0.3 for other in learnt)


def test_a_background_of_one_fold_is_no_set(tmp_path: Path) -> None:
    data = tree(tmp_path / "data", {"dog_bark": tone(1_000.0, 2.0, RATE_HZ)})
    for name in FOLD_5:
        (data / f"esc10/rain/{name}.ogg").unlink()
    assert mixture_sets(data, tmp_path / "mixed", 1, 1) == []


def test_an_event_marks_nothing_above_what_its_background_can_hold(tmp_path: Path) -> None:
    data = tree(tmp_path / "data", {"dog_bark": noise(9, 2.0, RATE_HZ, 0.2)})
    beyond = ROW_EDGES_HZ[:-1] > 0.99 * LOW_RATE_HZ / 2
    for mixed in mixture_sets(data, tmp_path / "mixed", 1, 3):
        masks = [clip.mask for clip in mixed.clips if clip.mask is not None]
        assert any(mask.any() for mask in masks)
        assert not any(mask[:, beyond].any() for mask in masks)


def test_slide_rail_clips_are_held_out_and_halved_by_their_number(tmp_path: Path) -> None:
    """Clips that are missing don't move the border between training and reporting."""
    data = tree(tmp_path / "data", {"dog_bark": tone(1_000.0, 2.0, RATE_HZ)})
    for number in (0, 44, 45, 46, 47, 74):
        path = data / f"slider_id00/normal/normal_id_00_{number:08d}.flac"
        write(path, noise(number, 10.0, LOW_RATE_HZ))
    sets = mixture_sets(data, tmp_path / "mixed", 1, 1)
    early, late = [s for s in sets if s.name == "mixture, slide rail"]
    assert [name[-6:-4] for name in names(early.normal)] == ["45", "46"]
    assert [name[-6:-4] for name in names(late.normal)] == ["47", "74"]
    for mixed in (early, late):
        assert sum(not clip.anomalous for clip in mixed.clips) == 4, "two parts of 5 s a clip"


def test_the_same_seed_mixes_the_same_files_and_another_seed_others(
    data: Path, rain: list[EvaluationSet], tmp_path: Path
) -> None:
    def events(made: list[EvaluationSet]) -> list[list[float]]:
        return [heard(clip.path).tolist() for s in made for clip in s.clips if clip.anomalous]

    again = mixture_sets(data, tmp_path / "again", 1, EVENTS)
    other = mixture_sets(data, tmp_path / "other", 2, EVENTS)
    assert events(again) == events(rain)
    assert events(other) != events(rain)
