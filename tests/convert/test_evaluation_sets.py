"""The sets on which detection is measured: who stands where, and what the masks mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from calibration.simulator import FAULTS
from convert import evaluation_sets
from convert.evaluation_sets import (
    CELL_BANDS,
    CELL_FRAMES,
    MIXTURE_CLIP_S,
    MIXTURE_SNRS_DB,
    dcase_sets,
    folder_set,
    mimii_sets,
    mixture_sets,
    simulated_sets,
    stem_mask,
)
from convert.pretrain_sounds import RATE_HZ, read_sound
from edge.errors import RecordingError
from edge.frontend import FrontEnd, band_edges_hz

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from convert.evaluation_sets import EvaluationSet

    Sound = NDArray[np.float64]

ALLOWED_HZ, FORBIDDEN_HZ = 1_000.0, 3_000.0
LOW_RATE_HZ = 16_000
ROW_EDGES_HZ = band_edges_hz(FrontEnd())[::CELL_BANDS]


def noise(seed: int, duration_s: float, rate_hz: int, level: float = 0.05) -> Sound:
    random = np.random.default_rng(seed)
    return np.asarray(level * random.standard_normal(round(duration_s * rate_hz)))


def tone(frequency_hz: float, duration_s: float, rate_hz: int, level: float = 0.3) -> Sound:
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return np.asarray(level * np.sin(2 * np.pi * frequency_hz * time_s))


def write(path: Path, sound: Sound, rate_hz: int = LOW_RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate_hz)


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        write(folder / name, noise(1, 0.1, LOW_RATE_HZ))


def tree(data: Path, event: Sound) -> Path:
    """Rain to mix into, events of folds 4 and 5, and what must not be used as an event."""
    for seed, name in enumerate(("4-100-A", "4-200-A", "5-300-A", "5-400-A")):
        write(data / f"esc10/rain/{name}.ogg", noise(seed, 5.0, LOW_RATE_HZ))
    for name in ("4-1-A", "5-2-A"):
        write(data / f"esc10/dog_bark/{name}.ogg", event, RATE_HZ)
    forbidden = tone(FORBIDDEN_HZ, 2.0, RATE_HZ)
    for name in ("dog_bark/1-3-A", "rooster/2-4-A", "rooster/3-5-A", "helicopter/4-6-A"):
        write(data / f"esc10/{name}.ogg", forbidden, RATE_HZ)
    return data


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def judged(evaluation_set: EvaluationSet, *, anomalous: bool) -> list[str]:
    return [clip.path.name for clip in evaluation_set.clips if clip.anomalous is anomalous]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tree(tmp_path_factory.mktemp("data"), tone(ALLOWED_HZ, 2.0, RATE_HZ))


@pytest.fixture(scope="module")
def rain(data: Path, tmp_path_factory: pytest.TempPathFactory) -> EvaluationSet:
    (mixed,) = mixture_sets(data, tmp_path_factory.mktemp("mixed"), 1, 6)
    return mixed


def stems(data: Path, rain: EvaluationSet) -> list[tuple[Sound, Sound]]:
    """Background and event of every clip with one, the event as what was added to its recording."""
    found = []
    recordings = [
        read_sound(data / f"esc10/rain/{name}.ogg").astype(float) for name in ("5-300-A", "5-400-A")
    ]
    for clip in rain.clips:
        if clip.anomalous:
            sound, _ = soundfile.read(clip.path)
            parts = [recording[: len(sound)] for recording in recordings]
            background = min(parts, key=lambda part: float(np.count_nonzero(sound - part)))
            found.append((background, sound - background))
    return found


def test_a_folder_s_first_half_by_name_is_learnt_from_and_the_rest_is_judged(
    tmp_path: Path,
) -> None:
    write_all(tmp_path / "pump/normal", "c.wav", "a.wav", "e.wav", "b.flac", "d.wav")
    write_all(tmp_path / "pump/odd", "x.wav", "y.wav")
    found = folder_set(tmp_path / "pump/normal", tmp_path / "pump/odd")
    assert found.name == "pump"
    assert names(found.normal) == ["a.wav", "b.flac"]
    assert judged(found, anomalous=False) == ["c.wav", "d.wav", "e.wav"]
    assert judged(found, anomalous=True) == ["x.wav", "y.wav"]


def test_one_normal_recording_is_too_few(tmp_path: Path) -> None:
    write_all(tmp_path / "normal", "a.wav")
    write_all(tmp_path / "odd", "x.wav")
    with pytest.raises(RecordingError, match="can't be learnt from and judged"):
        folder_set(tmp_path / "normal", tmp_path / "odd")


def test_mimii_gives_a_set_for_each_machine_id(tmp_path: Path) -> None:
    for place in ("fan/id_00", "fan/id_02", "pump/id_00"):
        write_all(tmp_path / place / "normal", "00000000.wav", "00000001.wav")
        write_all(tmp_path / place / "abnormal", "00000000.wav")
    sets = mimii_sets(tmp_path)
    assert [s.name for s in sets] == ["fan id_00", "fan id_02", "pump id_00"]
    for found, place in zip(sets, ("fan/id_00", "fan/id_02", "pump/id_00"), strict=True):
        paths = [*found.normal, *(clip.path for clip in found.clips)]
        assert all(path.is_relative_to(tmp_path / place) for path in paths)
        assert [clip.anomalous for clip in found.clips] == [False, True]


def test_dcase2020_is_grouped_by_the_id_in_a_file_s_name(tmp_path: Path) -> None:
    train = ("normal_id_00_00000000.wav", "normal_id_02_00000000.wav")
    write_all(tmp_path / "slider/train", *train)
    test = ("normal_id_00_00000001.wav", "anomaly_id_00_00000000.wav", "anomaly_id_02_00000000.wav")
    write_all(tmp_path / "slider/test", *test)
    first, second = dcase_sets(tmp_path)
    assert (first.name, second.name) == ("slider id_00", "slider id_02")
    assert names(first.normal) == ["normal_id_00_00000000.wav"]
    assert judged(first, anomalous=False) == ["normal_id_00_00000001.wav"]
    assert judged(first, anomalous=True) == ["anomaly_id_00_00000000.wav"]
    assert judged(second, anomalous=True) == ["anomaly_id_02_00000000.wav"]


def test_dcase2022_is_grouped_by_section_with_both_domains_in_one_set(tmp_path: Path) -> None:
    both = "section_{}_{}_train_normal_0000_strength_1.wav"
    train = [both.format(s, d) for s in ("00", "01") for d in ("source", "target")]
    write_all(tmp_path / "dev/bearing/train", *train)
    anomaly = "section_01_target_test_anomaly_0000_vel_6.wav"
    write_all(tmp_path / "dev/bearing/test", "section_00_source_test_normal_0000.wav", anomaly)
    first, second = dcase_sets(tmp_path)
    assert (first.name, second.name) == ("bearing section_00", "bearing section_01")
    assert names(first.normal) == train[:2]
    assert judged(first, anomalous=True) == []
    assert judged(second, anomalous=True) == [anomaly]


@pytest.mark.parametrize("read", [mimii_sets, dcase_sets])
def test_another_layout_is_one_clear_error(tmp_path: Path, read: object) -> None:
    write_all(tmp_path / "fan", "a.wav")
    assert callable(read)
    with pytest.raises(RecordingError, match="is this"):
        read(tmp_path)


def test_the_mask_marks_the_cells_of_a_tone_and_nothing_else() -> None:
    background = noise(0, 4.0, RATE_HZ, 0.01)
    event = np.zeros_like(background)
    event[RATE_HZ : 2 * RATE_HZ] = tone(ALLOWED_HZ, 1.0, RATE_HZ) * np.hanning(RATE_HZ) ** 0.2
    mask = stem_mask(event, background)
    column_s = CELL_FRAMES * FrontEnd().frame_s
    assert mask.shape == (4.0 / column_s, 16)
    row = int(np.searchsorted(ROW_EDGES_HZ, ALLOWED_HZ)) - 1
    assert np.flatnonzero(mask.any(axis=0)).tolist() == [row]
    columns = np.flatnonzero(mask[:, row])
    assert columns.tolist() == list(range(int(1.0 / column_s), int(np.ceil(2.0 / column_s))))


def test_an_event_below_the_background_marks_nothing() -> None:
    background = noise(0, 1.0, RATE_HZ)
    assert not stem_mask(noise(1, 1.0, RATE_HZ, 0.005), background).any()


def test_a_mixed_clip_is_its_background_and_an_event_at_the_level_in_its_name(
    data: Path, rain: EvaluationSet
) -> None:
    assert rain.name == "mixture, rain"
    clips = [clip for clip in rain.clips if clip.anomalous]
    assert len(clips) == len(rain.clips) - len(clips) == 6
    for number, (clip, (background, event)) in enumerate(
        zip(clips, stems(data, rain), strict=True)
    ):
        sounding = np.flatnonzero(event)
        assert len(event) == MIXTURE_CLIP_S * RATE_HZ
        assert 0.9 * RATE_HZ < sounding[-1] - sounding[0] <= RATE_HZ
        snr_db = 10 * np.log10(event.dot(event) / RATE_HZ / np.mean(background**2))
        assert snr_db == pytest.approx(MIXTURE_SNRS_DB[number % 3], abs=0.05)
        assert clip.mask is not None
        assert clip.mask.any()
        assert np.array_equal(clip.mask, stem_mask(event, background))


def test_events_come_from_the_reporting_folds_alone(data: Path, rain: EvaluationSet) -> None:
    for _, event in stems(data, rain):
        spectrum = np.abs(np.fft.rfft(event))
        loudest_hz = spectrum.argmax() * RATE_HZ / len(event)
        assert loudest_hz == pytest.approx(ALLOWED_HZ, abs=5)


def test_the_background_s_recordings_are_learnt_from_or_judged(rain: EvaluationSet) -> None:
    assert names(rain.normal) == ["normal-4-100-A.wav", "normal-4-200-A.wav"]
    learnt = [soundfile.read(path)[0][:RATE_HZ] for path in rain.normal]
    for clip in rain.clips:
        start = soundfile.read(clip.path)[0][:RATE_HZ]
        assert all(abs(np.corrcoef(start, other)[0, 1]) < 0.3 for other in learnt)


def test_two_clips_of_one_esc10_recording_stand_on_one_side(tmp_path: Path) -> None:
    """4-200-A and 4-200-B were cut from one recording."""
    data = tree(tmp_path / "data", tone(ALLOWED_HZ, 2.0, RATE_HZ))
    (data / "esc10/rain/5-300-A.ogg").rename(data / "esc10/rain/4-200-B.ogg")
    (rain,) = mixture_sets(data, tmp_path / "mixed", 1, 2)
    second = read_sound(data / "esc10/rain/4-200-B.ogg")
    plain = [soundfile.read(clip.path, dtype="float32")[0] for clip in rain.clips]
    judged_too = any(np.array_equal(sound, second[: len(sound)]) for sound in plain)
    assert judged_too != ("normal-4-200-A.wav" in names(rain.normal))


def test_an_event_marks_nothing_above_what_its_background_can_hold(tmp_path: Path) -> None:
    data = tree(tmp_path / "data", noise(9, 2.0, RATE_HZ, 0.2))
    (rain,) = mixture_sets(data, tmp_path / "mixed", 1, 3)
    beyond = ROW_EDGES_HZ[:-1] > 0.99 * LOW_RATE_HZ / 2
    masks = [clip.mask for clip in rain.clips if clip.mask is not None]
    assert any(mask.any() for mask in masks)
    assert not any(mask[:, beyond].any() for mask in masks)


def test_slide_rail_clips_are_held_out_by_their_number(tmp_path: Path) -> None:
    """Clips that are missing don't move the border between training and reporting."""
    data = tree(tmp_path / "data", tone(ALLOWED_HZ, 2.0, RATE_HZ))
    for number in (0, 44, 45, 46, 47, 74):
        path = data / f"slider_id00/normal/normal_id_00_{number:08d}.flac"
        write(path, noise(number, 5.0, LOW_RATE_HZ))
    sets = {s.name: s for s in mixture_sets(data, tmp_path / "mixed", 1, 1)}
    assert names(sets["mixture, slide rail"].normal) == [
        "normal-normal_id_00_00000045.wav",
        "normal-normal_id_00_00000046.wav",
    ]


def test_the_same_seed_mixes_the_same_files_and_another_seed_others(
    data: Path, rain: EvaluationSet, tmp_path: Path
) -> None:
    def sounds(made: EvaluationSet) -> dict[str, list[float]]:
        paths = [*made.normal, *(clip.path for clip in made.clips)]
        return {path.name: soundfile.read(path)[0].tolist() for path in paths}

    (again,) = mixture_sets(data, tmp_path / "again", 1, 6)
    (other,) = mixture_sets(data, tmp_path / "other", 2, 6)
    assert sounds(again) == sounds(rain)
    assert sounds(other).keys() == sounds(rain).keys()
    assert sounds(other) != sounds(rain)


def test_every_simulated_machine_is_a_set_with_every_kind_of_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluation_sets, "SIMULATED_SEEDS", range(9_000, 9_002))
    monkeypatch.setattr(evaluation_sets, "SIMULATED_NORMAL_S", 2.0)
    sets = simulated_sets(tmp_path, 1)
    assert [s.name for s in sets] == ["simulated", "simulated"]
    assert sets[0].normal != sets[1].normal
    for found in sets:
        assert [clip.kind for clip in found.clips] == ["", *sorted(FAULTS)]
        assert [clip.anomalous for clip in found.clips] == [False] + [True] * len(FAULTS)
        for clip in found.clips[1:]:
            assert clip.mask is not None
            columns = np.flatnonzero(clip.mask.any(axis=1))
            assert columns[0] >= 2.0 / 0.08 - 1
            assert columns[-1] <= 6.0 / 0.08
