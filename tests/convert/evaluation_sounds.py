"""A small set that tests of the evaluation share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import soundfile

from calibration.simulator import Fault, Machine
from convert.evaluation_masks import stem_mask
from convert.evaluation_sets import Clip, EvaluationSet
from convert.pretrain_sounds import RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

MACHINE = Machine(3, RATE_HZ)
KINDS = ("leak hiss", "belt squeal")
CLIP_S = 4.0


def write(path: Path, take: int, *faults: Fault) -> Path:
    sound, _ = MACHINE.with_faults(CLIP_S, take, faults)
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    return path


def make_set(folder: Path, name: str = "small", normal_s: float = 12.0) -> EvaluationSet:
    """Some normal sound, two clips like it, and two of each kind of fault."""
    folder.mkdir()
    soundfile.write(folder / "normal.wav", MACHINE.normal(normal_s, 0), RATE_HZ, subtype="FLOAT")
    clips = [Clip(write(folder / f"plain-{take}.wav", take), anomalous=False) for take in (1, 2)]
    for kind in KINDS:
        for take in (3, 4):
            path = write(folder / f"{kind}-{take}.wav", take, Fault(kind, 1.0, 2.0, 20.0))
            plain = MACHINE.normal(CLIP_S, take)
            mask = stem_mask(soundfile.read(path)[0] - plain, plain)
            clips.append(Clip(path, anomalous=True, kind=kind, mask=mask))
    return EvaluationSet(name, [folder / "normal.wav"], clips)
