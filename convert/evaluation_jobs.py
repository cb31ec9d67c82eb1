"""What the evaluation asks of TensorFlow, and the files through which it asks and is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from convert.child import run_child

if TYPE_CHECKING:
    from pathlib import Path

TIMEOUT_S = 12 * 3_600.0  # a whole published data set on a small computer
JOB_FILE = "job.json"
FRAMES_FILE, STARTS_FILE, LAYERS_FILE = "frames.npy", "starts.npy", "layers.npz"
ROWS_FILE = "rows.npy"
NORMAL_FILE, DISTURBED_FILE = "normal.npy", "disturbed.npy"
WINDOWS_FILE, EMBEDDINGS_FILE = "windows.npy", "embeddings.npy"


class AutoencoderJob(msgspec.Struct, frozen=True, tag="autoencoder"):
    """Train an autoencoder on `FRAMES_FILE` from each of `STARTS_FILE`; `LAYERS_FILE` answers."""

    offsets: list[int]  # of the frames that are looked at together, from their start
    epochs: int
    seed: int


class YamNetJob(msgspec.Struct, frozen=True, tag="yamnet"):
    """Hear recordings: `features_file` of each one answers, and `ROWS_FILE` for all."""

    weights: str
    gain_db: float
    recordings: list[str]


class StudentJob(msgspec.Struct, frozen=True, tag="student"):
    """Equalise the float student as it was, embed `WINDOWS_FILE`; `EMBEDDINGS_FILE`."""

    weights: str


Job = AutoencoderJob | YamNetJob | StudentJob


def features_file(number: int) -> str:
    """The file with the features of a recording, by its place in the job."""
    return f"features-{number:06d}.npy"


def ask(job: Job, folder: Path, *, steps: int, description: str, unit: str) -> None:
    """Have a job done in a child process.

    Raises:
        EarpatchError: what could not be done.
    """
    (folder / JOB_FILE).write_bytes(msgspec.json.encode(job))
    run_child(
        "convert.evaluation_worker",
        folder,
        steps=steps,
        description=description,
        unit=unit,
        timeout_s=TIMEOUT_S,
    )
