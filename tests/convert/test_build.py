"""Building a backbone: TensorFlow in a child, a verified int8 flatbuffer out of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile
from msgspec import structs

from calibration.learn import gain_for
from calibration.simulator import RATE_HZ, Fault, Machine
from calibration.survey import Survey, survey
from convert.build import REFERENCE_LEVEL_DBFS, SAMPLED_WINDOWS, WINDOW_FRAMES, build_backbone
from convert.main import main
from convert.samples import sample_windows
from edge.bundle import open_bundle
from edge.errors import EarpatchError, RecordingError
from edge.frontend import FrontEnd
from edge.runtime import make_interpreter
from edge.scoring import score_recording
from tests.convert.torch_files import HOSTILE, archive, state_dict, tensor

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    FloatArray = NDArray[np.float32]

CHILD_S = 300.0
FLOAT_EMBEDDINGS = """
import sys
from pathlib import Path
import numpy as np
import tensorflow as tf
from convert import mn04
from convert.graph import embeddings
from convert.quantise import equalise
folder = Path(sys.argv[1])
network = mn04.load(Path(sys.argv[2]), "")
normal = np.load(folder / "normal.npy")
equalisations = equalise(network, normal)
windows = tf.constant(np.load(folder / "heard.npy")[..., None])
np.save(folder / "float.npy", embeddings(network, equalisations, windows).numpy())
"""


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    """12 s of a machine's normal sound."""
    folder = tmp_path_factory.mktemp("normal")
    soundfile.write(folder / "a.wav", Machine(3).normal(12.0, 0), RATE_HZ)
    return survey(folder)


def windows_of(heard: Survey, count: int) -> tuple[FloatArray, FloatArray]:
    gain_db = gain_for(heard.level_dbfs, REFERENCE_LEVEL_DBFS)
    return sample_windows(heard, FrontEnd(gain_db=gain_db), WINDOW_FRAMES, count)


def correlation(first: FloatArray, second: FloatArray) -> float:
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])


def test_the_random_backbone_is_int8_with_the_promised_shapes(heard: Survey) -> None:
    source = build_backbone("random", None, heard)
    interpreter, _ = make_interpreter(source.model)
    (entrance,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
    info = source.backbone.info
    assert (entrance["dtype"], exit_["dtype"]) == (np.int8, np.int8)
    assert entrance["shape"].tolist() == [1, 96, 128, 1]
    assert exit_["shape"].tolist() == [1, 12, 16, info.dimension]
    assert source.front_end.gain_db == 0.0
    normal, disturbed = windows_of(heard, 2)
    grids = [source.backbone.embed(window) for window in (*normal, *disturbed)]
    assert all(len(np.unique(grid)) > 50 for grid in grids)
    assert not np.array_equal(grids[0], grids[2])


def test_int8_embeddings_of_mn04_follow_the_float_network(shared: Path, tmp_path: Path) -> None:
    weights = shared / "weights" / "mn04_as_mAP_432.pt"
    recordings = tmp_path / "recordings"
    recordings.mkdir()
    for path in sorted((shared / "data" / "slider_id00" / "normal").glob("*.flac"))[:4]:
        shutil.copy(path, recordings)
    heard = survey(recordings)
    source = build_backbone("mn04", weights, heard)
    assert source.backbone.info.dimension == 64
    assert source.backbone.info.weights_sha256.startswith("899a8c62")
    normal, disturbed = windows_of(heard, SAMPLED_WINDOWS)
    windows = np.concatenate([normal[::24], disturbed[::24]])
    np.save(tmp_path / "normal.npy", normal)
    np.save(tmp_path / "heard.npy", windows)
    command = [sys.executable, "-c", FLOAT_EMBEDDINGS, str(tmp_path), str(weights)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    exact = np.load(tmp_path / "float.npy")
    output = source.backbone.output
    steps = np.stack([source.backbone.embed(window) for window in windows])
    quantised = output.scale * (steps.astype(np.float32) - output.zero_point)
    half = len(windows) // 2
    assert correlation(exact[:half], quantised[:half]) > 0.88
    assert correlation(exact[half:], quantised[half:]) > 0.93


def test_convert_makes_a_bundle_that_finds_a_fault(tmp_path: Path, shared: Path) -> None:
    machine = Machine(4)
    (tmp_path / "normal").mkdir()
    soundfile.write(tmp_path / "normal" / "a.wav", machine.normal(40.0, 0), RATE_HZ)
    sound, (box,) = machine.with_faults(10.0, 1, [Fault("leak hiss", 4.0, 2.0, 15.0)])
    soundfile.write(tmp_path / "day.wav", sound, RATE_HZ)
    weights = str(shared / "weights" / "mobilenet_v2-b0353104.pth")
    bundle = tmp_path / "bundle"
    options = ["--backbone", "mobilenet_v2", "--weights", weights, "--normal"]
    assert main(["convert", str(bundle), *options, str(tmp_path / "normal")]) == 0
    events = score_recording(open_bundle(bundle), tmp_path / "day.wav").verdict.events
    assert any(event.start_s < box.end_s and event.end_s > box.start_s for event in events)


@pytest.mark.parametrize("backbone", ["mn04", "mobilenet_v2"])
def test_weights_of_something_else_are_one_clear_line(
    heard: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str], backbone: str
) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(archive(state_dict(weight=tensor())))
    folder = heard.recordings[0].path.parent
    options = ["--backbone", backbone, "--weights", str(path), "--normal", str(folder)]
    assert main(["convert", str(tmp_path / "bundle"), *options]) == 2
    complaint = capsys.readouterr().err.strip().splitlines()
    assert len(complaint) == 1
    assert "other.pt: not the weights of" in complaint[0]
    assert not (tmp_path / "bundle").exists()


def test_hostile_weights_are_refused_in_the_child_too(heard: Survey, tmp_path: Path) -> None:
    path, marker = tmp_path / "evil.pt", tmp_path / "it-ran"
    path.write_bytes(archive(state_dict(x=HOSTILE["REDUCE os.system"](marker))))
    with pytest.raises(EarpatchError, match=r"refused: the file asks to call os\.system"):
        build_backbone("mn04", path, heard)
    assert not marker.exists()


def test_a_weights_file_that_is_not_there_is_named(heard: Survey, tmp_path: Path) -> None:
    with pytest.raises(EarpatchError, match=r"nowhere\.pt: can't be read"):
        build_backbone("mn04", tmp_path / "nowhere.pt", heard)


def test_random_weights_can_not_be_given(heard: Survey, tmp_path: Path) -> None:
    with pytest.raises(EarpatchError, match="leave --weights out"):
        build_backbone("random", tmp_path / "some.pt", heard)


def test_recordings_shorter_than_a_window_are_refused(tmp_path: Path) -> None:
    for number in range(20):
        soundfile.write(tmp_path / f"{number}.wav", Machine(3).normal(0.9, number), RATE_HZ)
    with pytest.raises(RecordingError, match=r"at least 1\.06 s long"):
        build_backbone("random", None, survey(tmp_path))


def test_windows_come_from_all_recordings_and_no_two_are_alike(tmp_path: Path) -> None:
    for name, level in {"a": 1.0, "b": 0.01}.items():
        soundfile.write(tmp_path / f"{name}.wav", level * Machine(3).normal(6.0, 0), RATE_HZ)
    heard = survey(tmp_path)
    normal, disturbed = sample_windows(heard, FrontEnd(), WINDOW_FRAMES, 10)
    means = normal.mean(axis=(1, 2))
    assert means[:5].min() > means[5:].max()
    assert len(np.unique(normal.reshape(10, -1), axis=0)) == 10
    assert all(not np.array_equal(a, b) for a, b in zip(normal, disturbed, strict=True))


def test_bands_that_a_slow_recording_lacks_are_silent_in_every_window(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", Machine(3, 16_000).normal(12.0, 0), 16_000)
    front_end = structs.replace(FrontEnd(), gain_db=12.0)
    for windows in sample_windows(survey(tmp_path), front_end, WINDOW_FRAMES, 8):
        assert windows[:, :, -10:] == pytest.approx(front_end.silence)
        assert windows[:, :, :50].mean() > front_end.silence + 0.1
