"""Building a backbone: weights in, a verified int8 flatbuffer out.

TensorFlow works in a child process (`convert.worker`). So its hundreds of log lines stay in a file,
its memory is given back before hours of sound are embedded, and tflite-runtime, which can't load a
model in a process that has imported TensorFlow, can be used afterwards.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from importlib import util
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from calibration.backbones import BackboneCard, BackboneSource, backbone_source
from calibration.learn import gain_for
from convert import mn04
from convert.download import fetch, file_sha256
from convert.samples import sample_windows
from edge.backbone import BackboneInfo
from edge.errors import EarpatchError
from edge.frontend import FrontEnd
from edge.progress import bar

if TYPE_CHECKING:
    from calibration.survey import Survey
    from edge.runtime import RuntimeName

REFERENCE_LEVEL_DBFS = -20.0  # about where AudioSet's clips lie
WINDOW_FRAMES = 96
SAMPLED_WINDOWS = 192
CHILD_TIMEOUT_S = 1_800.0
STUDENT_WEIGHTS = Path(__file__).parent / "pretrained" / "student.npz"
# as their authors name them
MN04_FILE, MOBILENET_FILE = "mn04_as_mAP_432.pt", "mobilenet_v2-b0353104.pth"
NORMAL_FILE, DISTURBED_FILE, JOB_FILE = "normal.npy", "disturbed.npy", "job.json"
MODEL_FILE, INFO_FILE, ERROR_FILE, LOG_FILE = "backbone.tflite", "info.json", "error.txt", "log.txt"


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
    front_end = FrontEnd()
    gain_db = gain_for(heard.level_dbfs, REFERENCE_LEVEL_DBFS)
    tuned = msgspec.structs.replace(front_end, gain_db=gain_db)
    normal, disturbed = sample_windows(heard, tuned, WINDOW_FRAMES, SAMPLED_WINDOWS)
    with tempfile.TemporaryDirectory(prefix="earpatch-convert-") as scratch:
        folder = Path(scratch)
        np.save(folder / NORMAL_FILE, normal)
        np.save(folder / DISTURBED_FILE, disturbed)
        (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
        _run_child(folder, steps=2 * SAMPLED_WINDOWS)
        model = (folder / MODEL_FILE).read_bytes()
        info = msgspec.json.decode((folder / INFO_FILE).read_bytes(), type=BackboneInfo)
    card = BackboneCard(info, front_end, REFERENCE_LEVEL_DBFS)
    return backbone_source(model, card, runtime=runtime)


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


def _run_child(folder: Path, *, steps: int) -> None:
    """Run the child, show its progress, and turn its failure into one line."""
    command = [sys.executable, "-m", "convert.worker", str(folder)]
    with (
        (folder / LOG_FILE).open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True) as child,
        bar("Quantising the backbone", steps, "windows") as progress,
    ):
        deadline = threading.Timer(CHILD_TIMEOUT_S, child.kill)
        deadline.start()
        try:
            assert child.stdout is not None  # noqa: S101
            for line in child.stdout:
                progress.update(max(0, min(steps, int(line)) - progress.n))
            child.wait()
        finally:
            deadline.cancel()
            child.kill()
    if child.returncode == 0:
        return
    if (folder / ERROR_FILE).is_file():
        raise EarpatchError((folder / ERROR_FILE).read_text())
    lines = (folder / LOG_FILE).read_text(errors="replace").strip().splitlines() or ["no output"]
    raise EarpatchError(f"TensorFlow ended with code {child.returncode}: {lines[-1]}")
