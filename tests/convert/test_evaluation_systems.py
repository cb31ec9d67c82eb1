"""The systems that need TensorFlow to learn or to listen: the DCASE autoencoder and YAMNet."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from convert.build import YAMNET_FILE
from convert.evaluate import evaluate
from convert.evaluation_autoencoder import FEWEST_FRAMES, DcaseAutoencoder
from convert.evaluation_baselines import log_mel
from convert.evaluation_yamnet import HEADROOM, STEPS, Scaling, YamNetNeighbour, to_map_rows
from convert.pretrain_sounds import RATE_HZ
from edge.errors import EarpatchError, RecordingError
from tests.convert.evaluation_sounds import KINDS, make_set

if TYPE_CHECKING:
    from pathlib import Path

    from convert.evaluation_sets import EvaluationSet

CHILD_S = 120.0
EPOCHS = 60
HEAR_IN_CHUNKS = """
import sys
from pathlib import Path
import numpy as np
from convert import evaluation_hearing as hearing
from convert.network import Convolution
from convert.teachers import YAMNET_STRIDES, YamNet, YamNetFrontEnd
from edge.frontend import FrontEnd
random = np.random.default_rng(0)
layers, incoming = [], 1
for stride in YAMNET_STRIDES:
    kernel = random.normal(0, 0.3, (3, 3, incoming, 4)).astype(np.float32)
    bias = random.normal(0, 0.1, 4).astype(np.float32)
    layers.append(Convolution(kernel, bias, stride, "relu", symmetric_padding=False))
    incoming = 4
sound = random.normal(0, 0.1, 32_000 * 6).astype(np.float32)
for name, chunk in (("whole", 6_000), ("chunks", 160)):
    hearing.CHUNK_FRAMES = chunk
    found = hearing._features(YamNet(tuple(layers)), YamNetFrontEnd(FrontEnd()), sound, 600)
    np.save(Path(sys.argv[1]) / f"{name}.npy", found)
"""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> EvaluationSet:
    return make_set(tmp_path_factory.mktemp("sets") / "small", normal_s=40.0)


@pytest.fixture(scope="module")
def autoencoder(small: EvaluationSet, tmp_path_factory: pytest.TempPathFactory) -> DcaseAutoencoder:
    system = DcaseAutoencoder(seed=1, epochs=EPOCHS)
    system.learn(small.normal, tmp_path_factory.mktemp("autoencoder") / "learnt")
    return system


def test_the_autoencoder_rebuilds_normal_sound_and_not_what_it_never_heard(
    small: EvaluationSet, autoencoder: DcaseAutoencoder
) -> None:
    judged = list(autoencoder.judge([clip.path for clip in small.clips]))
    for clip, judgement in zip(small.clips, judged, strict=True):
        spectrum = log_mel(clip.path)
        assert judgement.map.shape == (len(spectrum) // 8, 16)
        if clip.mask is None:
            assert judgement.score < 0.5 * spectrum.var(), "better than the mean of everything"
        else:
            assert judgement.map[clip.mask].mean() > 2 * judgement.map[~clip.mask].mean()
    plain = [j.score for j, c in zip(judged, small.clips, strict=True) if not c.anomalous]
    faulty = [j.score for j, c in zip(judged, small.clips, strict=True) if c.anomalous]
    assert max(plain) < min(faulty)


def test_the_map_of_the_autoencoder_is_its_score_spread_over_cells(
    small: EvaluationSet, autoencoder: DcaseAutoencoder
) -> None:
    """Frames at both ends are looked at less often, so the means differ a little."""
    for judgement in autoencoder.judge([clip.path for clip in small.clips]):
        assert judgement.map.mean() == pytest.approx(judgement.score, rel=0.1)


def test_a_seed_trains_the_same_autoencoder_again(small: EvaluationSet, tmp_path: Path) -> None:
    scores = []
    for name in ("a", "b"):
        system = DcaseAutoencoder(5, epochs=1)
        system.learn(small.normal, tmp_path / name)
        (judgement,) = system.judge([small.clips[0].path])
        scores.append(judgement.score)
    assert scores[0] == scores[1]


def test_a_clip_too_short_for_the_autoencoder_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.full(320 * (FEWEST_FRAMES - 1), 0.1), RATE_HZ)
    with pytest.raises(RecordingError, match=r"short\.wav: 14 frames are too few"):
        DcaseAutoencoder().learn([path], tmp_path / "learnt")


def test_yamnet_finds_faults_and_where_they_are_within_its_range(
    small: EvaluationSet, shared: Path
) -> None:
    """A belt squeals below 7.5 kHz; a leak hisses above as well."""
    rows = evaluate([YamNetNeighbour(shared / "weights" / YAMNET_FILE)], [small])
    assert {row.set: row.clip.auc for row in rows} == {f"small, {kind}": 1 for kind in KINDS}
    cells = {row.set: row.cell for row in rows}
    squeal, hiss = cells["small, belt squeal"], cells["small, leak hiss"]
    assert squeal is not None
    assert hiss is not None
    assert squeal.auroc > 0.85 > hiss.auroc


def test_what_is_not_yamnet_is_one_clear_error(small: EvaluationSet, tmp_path: Path) -> None:
    path = tmp_path / YAMNET_FILE
    path.write_bytes(b"not HDF5")
    with pytest.raises(EarpatchError, match=f"{YAMNET_FILE}: not YAMNet's first layers"):
        YamNetNeighbour(path).learn(small.normal, tmp_path / "learnt")


def test_features_of_a_long_recording_don_t_show_where_it_was_cut(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HEAR_IN_CHUNKS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    whole, chunks = np.load(tmp_path / "whole.npy"), np.load(tmp_path / "chunks.npy")
    assert whole.shape == chunks.shape == (75, 8, 4)
    assert whole.std() > 0
    assert np.abs(whole - chunks).max() < 1e-3 * whole.std()


def test_int8_features_keep_their_distances_and_clip_only_what_is_far_out(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    features = random.gamma(1.0, 1.0, (200, 8, 16)).astype(np.float32)
    for number, part in enumerate((features[:50], features[50:])):
        np.save(tmp_path / f"{number}.npy", part)
    scaling = Scaling.of([tmp_path / "0.npy", tmp_path / "1.npy"])
    assert scaling.mean == pytest.approx(features.mean(axis=(0, 1)), abs=1e-4)
    back = scaling.steps(features) / scaling.steps_a_unit + scaling.mean
    half_step = 0.5 / scaling.steps_a_unit
    limit = STEPS / scaling.steps_a_unit
    inside = np.abs(features - scaling.mean) < limit
    assert inside.mean() > 0.999
    assert np.abs(back - features)[inside].max() < 1.01 * half_step
    assert scaling.steps(scaling.mean + 1e6).tolist() == [STEPS] * 16
    normal_range = np.quantile(np.abs(features - scaling.mean), 0.999)
    assert limit == pytest.approx(HEADROOM * normal_range, rel=0.1)


def test_yamnet_s_rows_are_interpolated_and_what_it_can_t_hear_is_lowest() -> None:
    values = np.asarray([[1.0, 3.0, 5.0], [7.0, 7.0, 9.0]], np.float32)
    rows = to_map_rows(values, np.asarray([np.nan, 0.0, 0.5, 2.0, np.nan]))
    assert rows.tolist() == [[1, 1, 2, 5, 1], [1, 7, 7, 9, 1]]
