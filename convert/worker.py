"""The child process in which TensorFlow works: `python -m convert.worker FOLDER`.

It reads the job and the windows from the folder, says how many windows it is done with, and leaves
the flatbuffer there.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from convert import mn04
from convert.build import DISTURBED_FILE, INFO_FILE, JOB_FILE, MODEL_FILE, NORMAL_FILE, Job
from convert.child import serve
from edge.backbone import BackboneInfo
from edge.errors import EarpatchError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from convert.child import Tell
    from convert.network import Network

    FloatArray = NDArray[np.float32]

STRIDE = 8  # of the finer tap: frames, and bands, under one cell


def _build(folder: Path, tell: Tell) -> None:
    from convert.quantise import equalise, quantise  # noqa: PLC0415

    job = msgspec.json.decode((folder / JOB_FILE).read_bytes(), type=Job)
    normal: FloatArray = np.load(folder / NORMAL_FILE)
    disturbed: FloatArray = np.load(folder / DISTURBED_FILE)
    network = _network(job, normal)
    equalisations = equalise(network, normal, disturbed)
    representative = np.concatenate([normal, disturbed])

    def told() -> Iterator[FloatArray]:
        for done, window in enumerate(representative, start=1):
            yield window
            tell(done)

    frames, bands = normal.shape[1:]
    model = quantise(network, equalisations, told, (frames, bands))
    info = BackboneInfo(
        name=network.name,
        source=network.source,
        weights_sha256=network.weights_sha256,
        taps=list(network.tap_names),
        window_frames=frames,
        mel_bands=bands,
        grid_columns=frames // STRIDE,
        grid_rows=bands // STRIDE,
        dimension=sum(len(equalisation.mean) for equalisation in equalisations),
    )
    (folder / MODEL_FILE).write_bytes(model)
    (folder / INFO_FILE).write_bytes(msgspec.json.encode(info))


def _network(job: Job, normal: FloatArray) -> Network:
    if job.backbone == "mn04" and job.weights is not None:
        return mn04.load(Path(job.weights), job.weights_sha256)
    if job.backbone == "mobilenet_v2":
        return _mobilenet_v2(job)
    if job.backbone == "student" and job.weights is not None:
        from convert.student_file import load_network  # noqa: PLC0415

        return load_network(Path(job.weights), job.weights_sha256)
    from convert.random_network import make_random  # noqa: PLC0415

    return make_random(normal)


def _mobilenet_v2(job: Job) -> Network:
    from convert import mobilenet_v2  # noqa: PLC0415

    if job.weights is not None:
        return mobilenet_v2.load_torchvision(Path(job.weights), job.weights_sha256)
    from keras.applications import MobileNetV2  # noqa: PLC0415

    try:
        model = MobileNetV2(input_shape=(128, 96, 3), include_top=False, weights="imagenet")
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EarpatchError(
            f"Keras could not get its MobileNetV2 weights ({reason}). Without a network, pass "
            "--weights with torchvision's mobilenet_v2 state dict"
        ) from error
    return mobilenet_v2.load_keras(model)


if __name__ == "__main__":
    sys.exit(serve(Path(sys.argv[1]), _build))
