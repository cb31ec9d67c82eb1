"""anomalib's PatchCore on log-mel windows as pictures, in an environment of its own.

`python patchcore_child.py`: it knows nothing of earpatch, since anomalib needs other versions of
what earpatch needs. Weights are random, because speed does not depend on them, and the bank is a
random tenth of the patches instead of a coreset of as many.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from anomalib.models import Patchcore
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

if TYPE_CHECKING:
    from collections.abc import Callable

BANK_SHARE = 0.1  # anomalib's default
KIB_A_MB = 1_000_000 / 1_024


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Processor seconds of each window, and the peak memory."""
    torch.set_num_threads(1)
    windows = torch.from_numpy(np.load(job["windows"])).float()
    prepare = Patchcore.configure_pre_processor().transform
    # [n, frames, bands] -> [n, 3, bands, frames]
    pictures = windows.transpose(1, 2)[:, None].expand(-1, 3, -1, -1)
    model = PatchcoreModel(layers=job["layers"], backbone=job["backbone"], pre_trained=False)
    with torch.no_grad():
        model.train()
        for picture in pictures[: job["learn"]]:
            model(prepare(picture[None]))
        patches = torch.vstack(model.embedding_store)
        model.embedding_store.clear()
        chosen = torch.randperm(len(patches))[: round(BANK_SHARE * len(patches))]
        model.memory_bank = patches[chosen].clone()
        model.eval().requires_grad_(requires_grad=False)
        example = prepare(pictures[:1])
        score = _openvino(model, example) if job["engine"] == "openvino" else model
        del patches
        spent = [_spent_s(score, prepare, picture[None]) for picture in pictures[-job["score"] :]]
    return {"spent_s": spent[1:], "peak_mb": _peak_mb(), "bank_rows": len(chosen)}


def _openvino(model: PatchcoreModel, example: torch.Tensor) -> Callable[[torch.Tensor], Any]:
    import openvino  # noqa: PLC0415

    class Scores(torch.nn.Module):  # type: ignore[misc]
        """The model with a tuple for its answer."""

        def forward(self, picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = model(picture)
            return found.pred_score, found.anomaly_map

    traced = torch.jit.trace(Scores().eval(), example, check_trace=False)
    converted = openvino.convert_model(traced, example_input=example)
    options = {"INFERENCE_NUM_THREADS": 1}
    compiled = openvino.compile_model(converted, "CPU", options)
    return lambda picture: compiled(picture.numpy())


def _spent_s(score: Any, prepare: Any, picture: torch.Tensor) -> float:
    began = time.process_time()
    score(prepare(picture))
    return time.process_time() - began


def _peak_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (kib,) = (int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib / KIB_A_MB


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    with out:
        print(json.dumps(measure(json.load(sys.stdin))), file=out)
