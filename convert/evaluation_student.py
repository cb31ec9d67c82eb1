"""The float student's embeddings, where TensorFlow may be imported."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np
import tensorflow as tf

from convert.evaluation_jobs import (
    DISTURBED_FILE,
    EMBEDDINGS_FILE,
    NORMAL_FILE,
    WINDOWS_FILE,
    StudentJob,
)
from convert.graph import embeddings
from convert.quantise import BATCH, equalise
from convert.student_file import load_network
from convert.torch_weights import WeightsError

if TYPE_CHECKING:
    from convert.child import Tell
    from convert.network import Network


def embed(job: StudentJob, folder: Path, tell: Tell) -> None:
    """Embed windows with the graph that gets quantised."""
    network = _load(Path(job.weights))
    equalisations = equalise(
        network, np.load(folder / NORMAL_FILE), np.load(folder / DISTURBED_FILE)
    )
    windows = np.load(folder / WINDOWS_FILE)
    found = []
    for start in range(0, len(windows), BATCH):
        batch = tf.constant(windows[start : start + BATCH, :, :, None])
        found.append(embeddings(network, equalisations, batch).numpy())
        tell(start + len(batch))
    np.save(folder / EMBEDDINGS_FILE, np.concatenate(found))


def _load(weights: Path) -> Network:
    try:
        return load_network(weights, "")
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise WeightsError(f"{weights}: not the weights of this student ({reason})") from None
