"""Learning a site: what goes into a bundle, what stays out of its bank, and what is kept."""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from msgspec import structs

from calibration.backbones import builtin_backbone, source_of_bundle
from calibration.learn import BankLimits, Learnt, gain_for, learn
from calibration.scale_fit import Segment
from calibration.simulator import RATE_HZ, Machine
from calibration.survey import survey
from calibration.tail_fit import promise_of
from calibration.thresholds import alarms_in, learn_thresholds
from convert.main import main
from edge.bundle import MANIFEST_FILE, Bundle, open_bundle, read_manifest
from edge.detector import grid_nearest
from edge.embedding import Columns, Embedder, column_s
from edge.errors import RecordingError
from edge.evidence import ALARM
from edge.nearest import Bank
from edge.recording import read_blocks, recording_info

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from tests.conftest import Site

ROOMY = BankLimits(max_rows=50_000, max_bytes=50_000_000)
CHILD_S = 120.0
CALIBRATE_AND_LOOK = """
import sys
from convert.main import main
code = main(["calibrate", sys.argv[1], "--normal", sys.argv[2]])
print(sorted({"tensorflow", "keras", "matplotlib", "sklearn"} & set(sys.modules)))
sys.exit(code)
"""

DIMENSION = builtin_backbone().backbone.info.dimension


@pytest.fixture(scope="module")
def quarters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings of 10 s of four machines: each is one of the four stretches, exactly."""
    folder = tmp_path_factory.mktemp("quarters")
    for number in range(4):
        soundfile.write(folder / f"{number}.wav", Machine(number).normal(10.0, 0), RATE_HZ)
    return folder


@pytest.fixture(scope="module")
def learnt(quarters: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle from those, with room for every embedding."""
    path = tmp_path_factory.mktemp("learnt") / "bundle"
    learn(path, builtin_backbone(), survey(quarters), ROOMY)
    return open_bundle(path)


def columns_of(bundle: Bundle, path: Path) -> Columns:
    """A recording as the bundle hears it."""
    manifest = bundle.manifest
    info = recording_info(path)
    embedder = Embedder(
        manifest.front_end, bundle.backbone, rate_hz=info.rate_hz, limit_hz=manifest.limit_hz
    )
    parts = [*(embedder.push(block) for block in read_blocks(info)), embedder.finish()]
    joined = Columns(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    return joined.rows(manifest.rows)


def cells(bundle: Bundle, path: Path) -> NDArray[np.int8]:
    """The int8 embeddings of a recording, [columns, rows, dimension]."""
    return columns_of(bundle, path).embeddings


def segment(bundle: Bundle, bank: Bank, columns: Columns) -> Segment:
    """Columns, measured with a bank."""
    scale = np.float32(bundle.manifest.backbone_output.scale)
    distances, _ = grid_nearest(bank, columns.embeddings, scale)
    return Segment(distances, columns.levels_db)


def bank_rows(bundle: Bundle) -> set[bytes]:
    return {row.tobytes() for row in bundle.bank.rows}


def unique_rows(grid: NDArray[np.int8]) -> set[bytes]:
    return {row.tobytes() for row in grid.reshape(-1, grid.shape[-1])}


def test_the_bank_is_every_embedding_of_all_four_quarters(learnt: Bundle, quarters: Path) -> None:
    heard = [unique_rows(cells(learnt, quarters / f"{n}.wav")) for n in range(4)]
    assert bank_rows(learnt) == set().union(*heard)
    assert learnt.manifest.bank.chosen_from_cells == 4 * 125 * learnt.manifest.rows
    assert learnt.manifest.thresholds.held_out_s == pytest.approx(40.0)


def test_thresholds_are_those_of_the_shipped_int8_files_on_each_quarter_held_out(
    learnt: Bundle, quarters: Path
) -> None:
    """H15."""
    manifest = learnt.manifest
    heard = [columns_of(learnt, quarters / f"{n}.wav") for n in range(4)]
    flat = [columns.embeddings.reshape(-1, DIMENSION) for columns in heard]
    segments = [
        segment(learnt, Bank(np.concatenate(flat[:number] + flat[number + 1 :])), columns)
        for number, columns in enumerate(heard)
    ]
    seconds = column_s(manifest.front_end, manifest.backbone)
    assert learn_thresholds(segments, seconds) == manifest.thresholds


def test_every_cell_is_within_the_cover_radius_of_the_bank(quarters: Path, tmp_path: Path) -> None:
    learn(tmp_path / "bundle", builtin_backbone(), survey(quarters), BankLimits(200, 10**6))
    bundle = open_bundle(tmp_path / "bundle")
    heard = [columns_of(bundle, quarters / f"{n}.wav") for n in range(4)]
    largest = max(float(segment(bundle, bundle.bank, c).distances.max()) for c in heard)
    assert 0 < largest <= bundle.manifest.bank.cover_radius * (1 + 1e-6)


def test_each_origin_leads_to_the_second_whose_embedding_equals_the_bank_s_row(
    site: Site,
) -> None:
    bundle = site.open()
    manifest, bank = bundle.manifest, bundle.manifest.bank
    seconds = column_s(manifest.front_end, manifest.backbone)
    heard = [cells(bundle, path) for path in sorted(site.normal.glob("*.wav"))]
    rows = bundle.bank.rows
    assert len(rows) == len(bank.origin_recording) == len(bank.origin_s)
    for row, recording, second in zip(rows, bank.origin_recording, bank.origin_s, strict=True):
        column = round(second / seconds)
        assert (heard[recording][column] == row).all(axis=1).any()


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Learnt, Bundle, Path]:
    """Five minutes and ten seconds of one machine: enough to keep the last tenth for a check."""
    folder = tmp_path_factory.mktemp("checked")
    (folder / "normal").mkdir()
    sound = Machine(7).normal(310.0, 0)
    soundfile.write(folder / "normal" / "all.wav", sound, RATE_HZ)
    limits = BankLimits(300, 10**6)
    found = learn(folder / "bundle", builtin_backbone(), survey(folder / "normal"), limits)
    return found, open_bundle(folder / "bundle"), folder / "normal" / "all.wav"


def test_the_last_tenth_of_long_sound_is_learnt_in_no_way(
    checked: tuple[Learnt, Bundle, Path],
) -> None:
    found, bundle, _ = checked
    assert found.checked_s == pytest.approx(31.0, abs=0.2)
    assert found.manifest.thresholds.held_out_s == pytest.approx(279.0, abs=0.2)
    assert max(bundle.manifest.bank.origin_s) < 279.1


def test_the_check_counts_the_alarms_of_the_last_tenth(
    checked: tuple[Learnt, Bundle, Path],
) -> None:
    found, bundle, path = checked
    heard = columns_of(bundle, path)
    first = -round(found.checked_s / 0.08)
    last = Columns(heard.embeddings[first:], heard.bands_db[first:])
    alarms = alarms_in(bundle.manifest.thresholds, segment(bundle, bundle.bank, last))
    assert found.alarms_in_check == alarms
    assert alarms <= 1


def test_short_sound_has_no_check(quarters: Path, tmp_path: Path) -> None:
    limits = BankLimits(50, 10**6)
    found = learn(tmp_path / "bundle", builtin_backbone(), survey(quarters), limits)
    assert (found.checked_s, found.alarms_in_check) == (0.0, 0)


@pytest.mark.parametrize("per_day", [0.1, 50.0])
def test_the_promise_is_the_rate_that_was_asked_for(
    quarters: Path, tmp_path: Path, per_day: float
) -> None:
    found = learn(
        tmp_path / "bundle",
        builtin_backbone(),
        survey(quarters),
        BankLimits(50, 10**6),
        false_alarms_per_day=per_day,
    )
    assert found.manifest.thresholds.false_alarms_per_day == per_day
    assert found.promise == promise_of(found.manifest.thresholds.tail, ALARM)
    assert found.promise.per_day == pytest.approx(per_day, rel=0.02)
    assert found.promise.extrapolated


def test_every_recording_is_in_the_manifest_with_its_digest(site: Site) -> None:
    manifest = site.open().manifest
    paths = sorted(site.normal.glob("*.wav"))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
    assert [recording.path for recording in manifest.recordings] == [str(path) for path in paths]
    assert [recording.sha256 for recording in manifest.recordings] == digests
    assert {recording.rate_hz for recording in manifest.recordings} == {RATE_HZ}


def test_the_manifest_holds_the_digest_of_every_other_file(site: Site) -> None:
    files = site.open().manifest.files
    assert set(files) == {"backbone.tflite", "bank.tflite", "golden.bin"}
    for name, expected in files.items():
        data = (site.bundle_path / name).read_bytes()
        assert expected.sha256 == hashlib.sha256(data).hexdigest()
        assert expected.size_bytes == len(data)


def test_the_manifest_names_the_runtime_that_measured_the_thresholds(site: Site) -> None:
    runtime = site.open().manifest.runtime
    distribution = {"tflite-runtime": "tflite-runtime", "litert": "ai-edge-litert"}[runtime.name]
    assert runtime.version == metadata.version(distribution)
    assert runtime.kernels == {"tflite-runtime": "optimised", "litert": "xnnpack"}[runtime.name]
    assert runtime.machine == platform.machine()


def test_calibrating_again_keeps_the_version_before_and_names_it(
    site: Site, tmp_path: Path
) -> None:
    path = site.copy_bundle(tmp_path / "bundle")
    first = open_bundle(path).manifest
    assert first.previous_id is None
    second = learn(path, source_of_bundle(path), survey(site.normal)).manifest
    assert second.previous_id == first.bundle_id
    assert open_bundle(path).manifest == second
    versions = {read_manifest(folder).bundle_id for folder in (path / "versions").iterdir()}
    assert versions == {first.bundle_id, second.bundle_id}


def test_a_damaged_version_before_has_no_id_to_name(site: Site, tmp_path: Path) -> None:
    path = site.copy_bundle(tmp_path / "bundle")
    (path / MANIFEST_FILE).resolve().write_bytes(b"{")
    manifest = learn(path, builtin_backbone(), survey(site.normal)).manifest
    assert manifest.previous_id is None
    assert open_bundle(path).manifest == manifest


def test_calibrating_again_uses_the_bundle_s_own_backbone(site: Site, tmp_path: Path) -> None:
    own = builtin_backbone().model + bytes(16)  # loads as before, and is not the built-in one
    source = replace(builtin_backbone(), model=own, reference_level_dbfs=-25.0)
    path = tmp_path / "bundle"
    learn(path, source, survey(site.normal), BankLimits(50, 10**6))
    assert main(["calibrate", str(path), "--normal", str(site.normal), "--bank-rows", "50"]) == 0
    bundle = open_bundle(path)
    assert bundle.model == own
    assert bundle.manifest.reference_level_dbfs == -25.0
    assert bundle.manifest.previous_id is not None


def test_calibrating_the_same_sound_again_gives_the_same_gain_bank_and_thresholds(
    site: Site, tmp_path: Path
) -> None:
    path = site.copy_bundle(tmp_path / "bundle")
    first = open_bundle(path).manifest
    second = learn(path, source_of_bundle(path), survey(site.normal)).manifest
    assert second.front_end == first.front_end
    assert second.files == first.files
    assert second.thresholds == first.thresholds


@pytest.mark.parametrize(
    ("level_dbfs", "reference_dbfs", "gain_db"),
    [(-32.0, -20.0, 12.0), (-20.0, -32.0, -12.0), (-95.0, -20.0, 60.0), (0.0, -40.0, -30.0)],
    ids=["up", "down", "most", "least"],
)
def test_the_gain_brings_normal_sound_to_the_reference_within_bounds(
    level_dbfs: float, reference_dbfs: float, gain_db: float
) -> None:
    assert gain_for(level_dbfs, reference_dbfs) == gain_db


def test_the_bundle_scores_with_the_gain_of_its_site(site: Site) -> None:
    manifest = site.open().manifest
    level = survey(site.normal).level_dbfs
    assert manifest.front_end.gain_db == gain_for(level, manifest.reference_level_dbfs)


def test_a_quieter_microphone_learns_the_same_bank(quarters: Path, tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    quiet.mkdir()
    for path in quarters.iterdir():
        sound, rate_hz = soundfile.read(path)
        soundfile.write(quiet / path.name, sound * 10 ** (-20 / 20), rate_hz, subtype="FLOAT")
    limits = BankLimits(300, 10**6)
    loud = learn(tmp_path / "a", builtin_backbone(), survey(quarters), limits).manifest
    soft = learn(tmp_path / "b", builtin_backbone(), survey(quiet), limits).manifest
    assert soft.front_end.gain_db == pytest.approx(loud.front_end.gain_db + 20.0, abs=0.11)
    assert soft.bank.cover_radius == pytest.approx(loud.bank.cover_radius, rel=0.1)


@pytest.mark.parametrize(
    ("option", "value", "rows"),
    [("--bank-rows", 37, 37), ("--bank-bytes", 22 * DIMENSION - 1, 21)],
)
def test_the_bank_is_bounded_by_the_command_s_options(
    site: Site, tmp_path: Path, option: str, value: int, rows: int
) -> None:
    """H14."""
    path = tmp_path / "bundle"
    assert main(["calibrate", str(path), "--normal", str(site.normal), option, str(value)]) == 0
    bundle = open_bundle(path)
    assert bundle.bank.size == bundle.manifest.bank.rows == rows


def test_a_bank_too_small_for_one_embedding_is_one_clear_error(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bundle"
    arguments = ["calibrate", str(path), "--normal", str(site.normal), "--bank-bytes", "47"]
    assert main(arguments) == 2
    assert "holds no embedding" in capsys.readouterr().err


def test_a_rate_at_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 12 * 4_000)
    soundfile.write(tmp_path / "a.wav", noise, 4_000)
    source = builtin_backbone()
    high = replace(source, front_end=structs.replace(source.front_end, low_hz=5_000.0))
    with pytest.raises(RecordingError, match="4000 Hz is too low a rate"):
        learn(tmp_path / "bundle", high, survey(tmp_path))


def test_calibrate_needs_no_tensorflow(site: Site, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CALIBRATE_AND_LOOK, str(tmp_path / "b"), str(site.normal)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
