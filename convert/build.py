"""Building a backbone: weights in, a verified int8 flatbuffer out.

TensorFlow works in a child process (`convert.worker`), so that its memory is given back before
hours of sound are embedded, and the flatbuffer can be loaded afterwards.
"""

from __future__ import annotations

import tempfile
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.backbones import BackboneCard, BackboneSource, backbone_source
from calibration.learn import gain_for
from convert import mn04
from convert.child import run_child
from convert.download import fetch, file_sha256
from convert.samples import sample_windows
from edge.backbone import BackboneInfo
from edge.errors import EarpatchError
from edge.frontend import FrontEnd

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from calibration.survey import Survey
    from edge.runtime import RuntimeName

    FloatArray = NDArray[np.float32]

REFERENCE_LEVEL_DBFS = -20.0  # about where AudioSet's clips lie
WINDOW_FRAMES = 96
SAMPLED_WINDOWS = 192
STUDENT_WEIGHTS = Path(__file__).parent / "pretrained" / "student.npz"
# as their authors name them
MN04_FILE, MOBILENET_FILE = "mn04_as_mAP_432.pt", "mobilenet_v2-b0353104.pth"
YAMNET_FILE = "yamnet_256_f32.h5"
NORMAL_FILE, DISTURBED_FILE, JOB_FILE = "normal.npy", "disturbed.npy", "job.json"
MODEL_FILE, INFO_FILE = "backbone.tflite", "info.json"


class Job(msgspec.Struct, frozen=True):
    """What the child process is asked to build."""

    backbone: str
    weights: str | None
    weights_sha256: str


def build_backbone(
    name: str, weights: Path | None, heard: Survey, *, runtime: RuntimeName = "auto"
) -> BackboneSource:
    """Quantise a backbone on windows of the given normal sound.

    Raises:
        WeightsError: the weights can't be had, or are not this backbone's.
        EarpatchError: TensorFlow is missing, or failed.
        RecordingError: the normal sound is too short.
    """
    if util.find_spec("tensorflow") is None:
        raise EarpatchError(
            "converting a backbone needs TensorFlow: pip install '.[desktop]' in a clone. "
            "On a node, 'earpatch calibrate' works without it"
        )
    job = _job(name, weights)
    normal, disturbed = representative_windows(heard)
    with tempfile.TemporaryDirectory(prefix="earpatch-convert-") as scratch:
        folder = Path(scratch)
        np.save(folder / NORMAL_FILE, normal)
        np.save(folder / DISTURBED_FILE, disturbed)
        (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
        run_child(
            "convert.worker",
            folder,
            steps=2 * SAMPLED_WINDOWS,
            description="Quantising the backbone",
            unit="windows",
        )
        model = (folder / MODEL_FILE).read_bytes()
        info = msgspec.json.decode((folder / INFO_FILE).read_bytes(), type=BackboneInfo)
    card = BackboneCard(info, FrontEnd(), REFERENCE_LEVEL_DBFS)
    return backbone_source(model, card, runtime=runtime)


def representative_windows(heard: Survey) -> tuple[FloatArray, FloatArray]:
    """Normal and disturbed windows on which a backbone is quantised, both [n, frames, bands].

    Raises:
        RecordingError: the normal sound is too short.
    """
    gain_db = gain_for(heard.level_dbfs, REFERENCE_LEVEL_DBFS)
    tuned = msgspec.structs.replace(FrontEnd(), gain_db=gain_db)
    return sample_windows(heard, tuned, WINDOW_FRAMES, SAMPLED_WINDOWS)


def _job(name: str, weights: Path | None) -> Job:
    if name == "random":
        if weights is not None:
            raise EarpatchError("--backbone random draws its own weights; leave --weights out")
        return Job(name, None, "")
    if name == "student" and weights is None:
        weights = STUDENT_WEIGHTS
    if name == "mn04" and weights is None:
        weights = fetch(mn04.URL, mn04.SHA256)
    if weights is None:
        return Job(name, None, "")  # Keras has its own, and checks them itself
    return Job(name, str(weights.resolve()), file_sha256(weights))
