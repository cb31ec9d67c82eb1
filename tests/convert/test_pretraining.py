"""Pretraining: what is heard, what the teachers' answers become, and the student as arrays."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import soundfile

from convert import pretrain_sounds
from convert.evaluation_simulated import SEEDS as SIMULATED_SEEDS
from convert.pretrain_sounds import RATE_HZ, Sounds, training_recordings

if TYPE_CHECKING:
    from pathlib import Path

SAMPLES = RATE_HZ
CHILD_S = 500.0
NUMBERS = """
import json, sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from convert import student
from convert.graph import taps
from convert.lessons import Projection
from convert.pretrain_record import Record, earlier_run, write_record
from convert.student_file import load_network, named_layers, save_network
from convert.teachers import YamNetFrontEnd, log_mel_frames, to_student_rows, yamnet_rows
from edge.frontend import FrontEnd

random, told, folder = np.random.default_rng(1), {}, Path(sys.argv[1])
model = student.make_student(1)
for layer in model.layers:
    if layer.name.endswith("_norm"):
        gamma, beta, mean, variance = (w.shape for w in layer.get_weights())
        layer.set_weights([
            random.uniform(0.5, 1.5, gamma), random.normal(0, 0.3, beta),
            random.normal(0, 0.3, mean), random.uniform(0.5, 2.0, variance),
        ])
windows = random.normal(0, 1, (2, 96, 128, 1)).astype(np.float32)
theirs = model(windows)
network = student.to_network(model)
ours = taps(network, tf.constant(windows))
told["taps"] = [
    [float(np.abs(a - b).max()), float(np.std(b)), *a.shape]
    for a, b in zip(ours, theirs, strict=True)
]
student.save_weights(model, folder / "distilled.npz")
loaded = student.load_weights(folder / "distilled.npz", seed=2)
told["loaded"] = all(
    np.array_equal(a, b)
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True)
)
save_network(network, folder / "student.npz")
again = load_network(folder / "student.npz", "abc")
told["network"] = [again.weights_sha256, again.taps, again.pooled, all(
    mine == other
    and (one.stride, one.activation, one.depthwise) == (two.stride, two.activation, two.depthwise)
    and np.array_equal(one.kernel, two.kernel) and np.array_equal(one.bias, two.bias)
    for (mine, one), (other, two) in zip(named_layers(network), named_layers(again), strict=True)
), [b.shortcut for b in network.blocks] == [b.shortcut for b in again.blocks]]

small = random.normal(3, 5, (6, 4, 4, 5)).astype(np.float32)
large = random.normal(0, 0.1, (6, 4, 4, 9)).astype(np.float32) + 0.02 * small[..., :1]
few, full = Projection.fit([small, large], 6), Projection.fit([small, large], 14)
joined = few.join([small, large]).reshape(-1, 14)
said = few.apply([small, large])
told["teacher variance"] = [float(part.var(0).sum()) for part in np.split(joined, [5], axis=1)]
told["channel variance"] = float(said.reshape(-1, 6).var(0).mean())
told["shape"], told["kept"] = list(said.shape), [few.kept, full.kept]
whole = full.apply([small, large]).reshape(-1, 14)
pairs = [np.linalg.norm(x[1:] - x[:1], axis=1) for x in (joined, whole)]
ratio = pairs[1] / pairs[0]
told["distances"] = float(ratio.max() / ratio.min())

position, inside = yamnet_rows(FrontEnd(), 16)
told["position"], told["inside"] = position.tolist(), inside.tolist()
rows = random.normal(0, 1, (2, 3, 8, 4)).astype(np.float32)
told["whole rows"] = bool(np.array_equal(to_student_rows(rows, np.arange(8.0)), rows))
middle = to_student_rows(rows, np.array([2.5]))[:, :, 0]
told["half rows"] = float(np.abs(middle - (rows[:, :, 2] + rows[:, :, 3]) / 2).max())

def tones(rate):
    time = np.arange(rate) / rate
    sines = [np.sin(2 * np.pi * hz * time + hz**2) for hz in np.arange(150.0, 7500.0, 110.0)]
    return sum(sines).astype(np.float32)

yamnet = YamNetFrontEnd(FrontEnd())
heard = yamnet.frames(tones(32000), 100)
told["frames"] = [list(yamnet.frames(tones(32000)[: 320 * n], n).shape) for n in (3, 50, 100)]
slow, bins = tones(16000), np.arange(257) * 16000 / 512
mel = lambda hz: 1127 * np.log1p(hz / 700)
edges = np.linspace(mel(125.0), mel(7500.0), 66)
up = (mel(bins)[:, None] - edges[:-2]) / np.diff(edges)[:-1]
down = (edges[2:] - mel(bins)[:, None]) / np.diff(edges)[1:]
window = np.hanning(401)[:-1]
for frame in (10, 60):
    start = frame * 160 - 120
    spectrum = np.abs(np.fft.rfft(slow[start : start + 400] * window, 512))
    direct = np.log(spectrum @ np.maximum(0, np.minimum(up, down)) + 0.001)
    told.setdefault("yamnet's own", []).append(float(np.abs(direct - heard[frame]).max()))
click = np.zeros(32000, np.float32)
click[30 * 320 + 160] = 1
both = (yamnet.frames(click, 100), log_mel_frames(click, FrontEnd(), 100, float("inf")))
told["click"] = [int(frames.mean(axis=1).argmax()) for frames in both]

path = folder / "pretrain.json"
(folder / "checkpoint.npz").touch()
told["no run"] = earlier_run(folder, 1, 128) is None
record = Record(seed=1, windows=128, steps_done=1, teachers={}, recordings=[], variance_kept=[])
write_record(record, folder)
told["same run"] = earlier_run(folder, 1, 128).steps_done
for name, arguments in (("seed", (2, 128)), ("windows", (1, 256))):
    try:
        earlier_run(folder, *arguments)
    except Exception as error:
        told[name] = f"{type(error).__name__}: {error}"
path.write_bytes(path.read_bytes()[:20])
try:
    earlier_run(folder, 1, 128)
except Exception as error:
    told["torn"] = type(error).__mro__[1].__name__ + " " + type(error).__name__
print(json.dumps(told))
"""
PRETRAIN = """
import json, sys
from pathlib import Path
import numpy as np
from convert import fine_tune, lessons, pretrain, pretrain_sounds
from convert.main import main
from convert.student_file import load_network, named_layers

pretrain_sounds.SIMULATED_MACHINES, lessons.FIT_WINDOWS, pretrain.STEPS_A_POINT = 1, 64, 1
fine_tune.RANGE_BATCHES = fine_tune.STEPS_A_POINT = 1
folder, data, weights = map(Path, sys.argv[1:])
told, taken, step = {}, [], pretrain._Trainer.step
tuned, tune = [], fine_tune._Trainer.step

def stopped(trainer, *batch):
    if taken:
        raise KeyboardInterrupt
    return counted(trainer, *batch)

def counted(trainer, *batch):
    taken.append([v.numpy() for v in trainer._model.weights])
    return step(trainer, *batch)

def counted_tuning(trainer, *batch):
    tuned.append(tune(trainer, *batch))
    return tuned[-1]

def steps_off_grid():
    network = load_network(folder / "student.npz", "")
    off = []
    for _, layer in named_layers(network):
        axes = (0, 1, 3) if layer.depthwise else (0, 1, 2)
        steps = layer.kernel / (np.abs(layer.kernel).max(axis=axes, keepdims=True) / 127)
        off.append(float(np.abs(steps - np.round(steps)).max()))
    return max(off)

def command(target, windows, tuning=128):
    common = ["--data", str(data), "--teachers", str(weights), "--windows", str(windows)]
    try:
        return main(["pretrain", str(target), *common, "--fine-tune-windows", str(tuning)])
    except Exception as error:
        return repr(error)

def record():
    return json.loads((folder / "pretrain.json").read_bytes())

pretrain._Trainer.step = stopped
fine_tune._Trainer.step = counted_tuning
told["stopped"] = [command(folder, 128), record(), len(taken)]
with np.load(folder / "checkpoint.npz") as state:
    saved = [state[f"arr_{i}"] for i in range(len(taken[0]))]
taken.clear()
pretrain._Trainer.step = counted
told["went on"] = [command(folder, 128), record(), len(taken)]
told["from the checkpoint"] = all(map(np.array_equal, saved, taken[0]))
told["files"] = sorted(p.name for p in folder.iterdir())
told["tuned"], told["off grid"] = tuned.copy(), steps_off_grid()
taken.clear(), tuned.clear()
told["once more"] = [command(folder, 128), record(), len(taken) + len(tuned)]
(folder / "checkpoint.npz").unlink()
told["second stage alone"] = [command(folder, 128, 64), record(), len(taken), len(tuned)]
told["same seed"] = tuned.copy()
tuned.clear()
told["without"] = [command(folder, 128, 0), record()["fine_tuning"], len(taken) + len(tuned)]
told["without, off grid"] = steps_off_grid()
told["less than a batch"] = [
    command(folder.with_name("short"), 10), command(folder.with_name("short"), 128, 10)
]
(data / "esc10/rain/1-2-A.ogg").write_bytes((data / "esc10/rain/1-1-A.ogg").read_bytes())
told["other sound"] = command(folder, 128)
print(json.dumps(told))
"""


def child(script: str, *arguments: Path) -> dict[str, Any]:
    """What a child with TensorFlow in it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        capture_output=True, text=True, timeout=CHILD_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3_000:]
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def write(path: Path, seed: int = 0, rate_hz: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = 0.1 * np.random.default_rng(seed).standard_normal(3 * rate_hz)
    soundfile.write(path, sound, rate_hz)


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return child(NUMBERS, tmp_path_factory.mktemp("numbers"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, shared: Path) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("pretraining")
    write(folder / "data/esc10/rain/1-1-A.ogg")
    return child(PRETRAIN, folder / "run", folder / "data", shared / "weights")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(pretrain_sounds, "SIMULATED_MACHINES", 1)
    write(tmp_path / "esc10/rain/1-1-A.ogg")
    write(tmp_path / "slider_id00/normal/normal_id_00_00000003.flac", 1)
    return tmp_path


def test_what_reporting_needs_is_not_trained_on(tmp_path: Path) -> None:
    used = [
        "dcase2020/fan/normal/normal_id_00_00000000.flac",
        "esc10/dog_bark/1-1-A.ogg",
        "esc10/dog_bark/3-1-A.ogg",
        "slider_id00/normal/normal_id_00_00000044.flac",
    ]
    kept_out = [
        "dcase2020/fan/anomalous/anomaly_id_00_00000000.flac",
        "esc10/dog_bark/4-1-A.ogg",
        "esc10/dog_bark/5-1-A.ogg",
        "slider_id00/normal/normal_id_00_00000045.flac",
        "slider_id00/normal/normal_id_00_00000074.flac",
        "slider_id00/anomalous/anomaly_id_00_00000001.flac",
        "mimii_raw/fan_00_normal_00000000.flac",
    ]
    for name in used + kept_out:
        write(tmp_path / name)
    assert training_recordings(tmp_path) == [tmp_path / name for name in used]


@pytest.mark.parametrize("seed", range(12))
def test_no_seed_trains_on_a_machine_that_reporting_simulates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    simulated: list[int] = []

    def note(number: int) -> Any:
        simulated.append(number)
        return np.ones(RATE_HZ, np.float32)

    monkeypatch.setattr(pretrain_sounds, "_simulated", note)
    Sounds(tmp_path, seed)
    assert simulated
    assert not set(simulated) & set(SIMULATED_SEEDS)


def test_a_window_is_float32_finite_and_within_full_scale(data: Path) -> None:
    sounds = Sounds(data, 1)
    for samples in (SAMPLES, 40_960, 1_000):
        for _ in range(15):
            window = sounds.draw(samples)
            assert window.shape == (samples,)
            assert window.dtype == np.float32
            assert np.abs(window).max() <= 1


def test_the_background_s_level_stays_within_its_bounds(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain_sounds, "EVENT_SHARE", 0)
    monkeypatch.setattr(pretrain_sounds, "FILTER_SHARE", 0)
    sounds = Sounds(data, 2)
    windows = [sounds.draw(SAMPLES) for _ in range(60)]
    levels = np.array([10 * np.log10(np.mean(window**2)) for window in windows])
    assert levels.min() >= pretrain_sounds.LOWEST_DBFS - 0.1
    assert levels.max() <= pretrain_sounds.HIGHEST_DBFS + 0.1
    assert np.ptp(levels) > 20


def test_a_seed_draws_the_same_windows_and_a_reseeded_one_others(data: Path) -> None:
    first, second = Sounds(data, 1), Sounds(data, 1)
    assert first.files == ["esc10/rain/1-1-A.ogg", second.files[1]]
    begun = [first.draw(SAMPLES) for _ in range(5)]
    assert np.array_equal(begun, [second.draw(SAMPLES) for _ in range(5)])
    first.reseed(7)
    other = [first.draw(SAMPLES) for _ in range(5)]
    assert not any(np.array_equal(a, b) for a in begun for b in other)
    second.reseed(7)
    assert np.array_equal(other, [second.draw(SAMPLES) for _ in range(5)])


def test_without_recordings_the_simulator_is_heard_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretrain_sounds, "SIMULATED_MACHINES", 1)
    sounds = Sounds(tmp_path, 1)
    assert sounds.files == []
    assert np.ptp(sounds.draw(SAMPLES)) > 0


def test_the_student_as_arrays_says_what_keras_says(numbers: dict[str, Any]) -> None:
    assert [tap[2:] for tap in numbers["taps"]] == [[2, 12, 16, 48], [2, 6, 8, 64]]
    for difference, spread, *_ in numbers["taps"]:
        assert difference < 1e-4
        assert spread > 0.05


def test_saved_weights_are_loaded_as_they_were(numbers: dict[str, Any]) -> None:
    assert numbers["loaded"]


def test_a_saved_network_is_loaded_as_it_was(numbers: dict[str, Any]) -> None:
    assert numbers["network"] == ["abc", [2, 6], False, True, True]


def test_every_teacher_has_the_same_say(numbers: dict[str, Any]) -> None:
    assert numbers["teacher variance"] == pytest.approx([1, 1], abs=1e-3)


def test_an_answer_s_channel_has_a_variance_of_one_on_average(numbers: dict[str, Any]) -> None:
    assert numbers["shape"] == [6, 4, 4, 6]
    assert numbers["channel variance"] == pytest.approx(1, abs=1e-3)
    few, full = numbers["kept"]
    assert 6 / 14 < few < 0.95
    assert full == pytest.approx(1)


def test_all_axes_together_keep_every_distance(numbers: dict[str, Any]) -> None:
    assert numbers["distances"] == pytest.approx(1, abs=1e-4)


def test_the_student_s_rows_rise_within_yamnet_s(numbers: dict[str, Any]) -> None:
    position, inside = np.array(numbers["position"]), np.array(numbers["inside"])
    assert position.shape == inside.shape == (16,)
    assert position.min() >= 0
    assert position.max() <= 7
    assert (np.diff(position) >= 0).all()
    assert (np.diff(position[2:13]) > 0).all()
    assert inside.tolist() == [False] + [True] * 12 + [False] * 3


def test_rows_at_whole_positions_are_the_teacher_s_own(numbers: dict[str, Any]) -> None:
    assert numbers["whole rows"]
    assert numbers["half rows"] < 1e-6


def test_yamnet_s_front_end_gives_as_many_frames_as_are_asked_for(numbers: dict[str, Any]) -> None:
    assert numbers["frames"] == [[3, 64], [50, 64], [100, 64]]


def test_yamnet_hears_at_32_khz_what_it_hears_at_its_own_16_khz(numbers: dict[str, Any]) -> None:
    assert max(numbers["yamnet's own"]) < 0.02


def test_both_front_ends_hear_a_click_in_the_same_frame(numbers: dict[str, Any]) -> None:
    assert numbers["click"] == [30, 30]


def test_another_run_s_folder_is_refused_with_what_it_holds(numbers: dict[str, Any]) -> None:
    assert numbers["no run"]
    assert numbers["same run"] == 1
    for other in ("seed", "windows"):
        assert numbers[other].startswith("EarpatchError: ")
        assert "--seed 1 --windows 128" in numbers[other]


def test_a_torn_record_is_one_clear_error(numbers: dict[str, Any]) -> None:
    assert "EarpatchError" in numbers["torn"]


def test_a_stopped_run_keeps_its_last_checkpoint(run: dict[str, Any]) -> None:
    code, record, steps = run["stopped"]
    assert (code, steps) == (130, 1)
    assert (record["steps_done"], len(record["losses"])) == (1, 1)
    assert 0.3 < record["losses"][0] < 30


def test_a_stopped_run_goes_on_from_its_checkpoint(run: dict[str, Any]) -> None:
    before, (code, record, steps) = run["stopped"][1], run["went on"]
    assert (code, steps) == (0, 1)
    assert record["steps_done"] == 2
    assert record["losses"][0] == before["losses"][0]
    assert len(record["losses"]) == 2
    assert record["variance_kept"] == before["variance_kept"]
    assert record["recordings"] == ["esc10/rain/1-1-A.ogg"]
    assert len(record["teachers"]) == 3
    assert run["from the checkpoint"]


def test_a_run_leaves_weights_record_and_curve(run: dict[str, Any]) -> None:
    written = ["checkpoint.npz", "distilled.npz", "loss.png", "pretrain.json", "student.npz"]
    assert run["files"] == written


def test_after_distilling_the_student_learns_on_the_int8_grid(run: dict[str, Any]) -> None:
    tuning = run["went on"][1]["fine_tuning"]
    assert tuning["windows"] == 128
    assert tuning["losses"] == pytest.approx([error for error, _ in run["tuned"]], abs=1e-5)
    assert tuning["rounding"] == pytest.approx([part for _, part in run["tuned"]], abs=1e-6)
    for error, rounding in run["tuned"]:
        assert 0.3 < error < 30
        assert 0 < rounding < error  # a student of two steps hardly says anything
    assert run["off grid"] < 1e-4


def test_the_second_stage_runs_alone_on_what_the_first_has_left(run: dict[str, Any]) -> None:
    code, record, distilled, tuned = run["second stage alone"]
    assert (code, distilled, tuned) == (0, 0, 1)
    assert record["fine_tuning"]["windows"] == 64
    before = run["went on"][1]
    assert record["fine_tuning"]["started_from"] == before["fine_tuning"]["started_from"]
    assert record["losses"] == before["losses"]


def test_a_seed_fine_tunes_on_the_same_windows(run: dict[str, Any]) -> None:
    assert run["same seed"][0] == pytest.approx(run["tuned"][0], rel=1e-3)


def test_without_a_second_stage_the_float_student_is_what_gets_quantised(
    run: dict[str, Any],
) -> None:
    assert run["without"] == [0, None, 0]
    assert run["without, off grid"] > 0.1


def test_a_finished_run_trains_no_more(run: dict[str, Any]) -> None:
    assert run["once more"] == [0, run["went on"][1], 0]


def test_fewer_windows_than_a_batch_are_one_clear_error(run: dict[str, Any]) -> None:
    assert run["less than a batch"] == [2, 2]


def test_a_run_does_not_go_on_with_other_recordings(run: dict[str, Any]) -> None:
    """Other recordings give other projections: the student would learn two languages."""
    assert run["other sound"] == 2
