"""The child that times the peers' TFLite models: the networks alone, without their front ends."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from convert.bench.children import answer
from convert.bench.tflite_makers import AUTOENCODER_FILE, YAMNET_FILE
from edge.runtime import make_interpreter

# Name, file, and how many inputs a second of sound is: frames 32 ms apart; windows 0.48 s apart.
MODELS = (
    ("DCASE2020 autoencoder, TFLite", AUTOENCODER_FILE, 1 / 0.032),
    ("YAMNet int8, TFLite", YAMNET_FILE, 1 / 0.48),
)
INVOCATIONS, REPEATS = 64, 15


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {"spent_s": _spent_s(Path(job["folder"], file), per_s)}
        for name, file, per_s in MODELS
    }


def _spent_s(path: Path, per_s: float) -> list[float]:
    """Processor seconds for each second of sound."""
    interpreter, _ = make_interpreter(path.read_bytes())
    (given,) = interpreter.get_input_details()
    value = np.ones(given["shape"], given["dtype"])
    spent = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(INVOCATIONS):
            interpreter.set_tensor(given["index"], value)
            interpreter.invoke()
        spent.append((time.process_time() - began) / INVOCATIONS * per_s)
    return spent[1:]


if __name__ == "__main__":
    answer(_measure)
