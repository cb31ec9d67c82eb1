"""The sets on which detection is measured: who stands where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from convert.evaluation_sets import dcase_sets, folder_set, mimii_sets
from edge.errors import RecordingError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from convert.evaluation_sets import EvaluationSet

    Sound = NDArray[np.float64]

LOW_RATE_HZ = 16_000


def noise(seed: int, duration_s: float, rate_hz: int, level: float = 0.05) -> Sound:
    random = np.random.default_rng(seed)
    return np.asarray(level * random.standard_normal(round(duration_s * rate_hz)))


def write(path: Path, sound: Sound, rate_hz: int = LOW_RATE_HZ) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, sound, rate_hz)


def write_all(folder: Path, *names: str) -> None:
    for name in names:
        write(folder / name, noise(1, 0.1, LOW_RATE_HZ))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def judged(evaluation_set: EvaluationSet, *, anomalous: bool) -> list[str]:
    return [clip.path.name for clip in evaluation_set.clips if clip.anomalous is anomalous]


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
