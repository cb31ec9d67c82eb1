"""Simulated machines as sets: the truth is known to the sample, and no recording is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import soundfile

from calibration.simulator import FAULTS, Fault, Machine
from convert.evaluation_masks import stem_mask
from convert.evaluation_sets import Clip, EvaluationSet
from convert.pretrain_sounds import RATE_HZ

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = range(10**12, 10**12 + 4)  # beyond any that training can reach
FIRST_PLAIN_TAKE, FIRST_FAULTY_TAKE = 100, 1_000
NORMAL_S, CLIP_S, LEVEL_DB = 180.0, 8.0, 10.0


def simulated_sets(folder: Path, clips_a_fault: int) -> list[EvaluationSet]:
    """Machines that training has not seen, each with every kind of fault."""
    sets = []
    for seed in SEEDS:
        machine = Machine(seed, RATE_HZ)
        place = folder / f"machine-{seed}"
        place.mkdir(parents=True, exist_ok=True)
        normal = place / "normal.wav"
        soundfile.write(normal, machine.normal(NORMAL_S, 0), RATE_HZ, subtype="FLOAT")
        takes = range(clips_a_fault)
        clips = [_plain_clip(place, machine, take) for take in takes]
        clips += [_faulty_clip(place, machine, kind, t) for kind in sorted(FAULTS) for t in takes]
        sets.append(EvaluationSet("simulated", [normal], clips))
    return sets


def _plain_clip(place: Path, machine: Machine, take: int) -> Clip:
    path = place / f"plain-{take}.wav"
    sound = machine.normal(CLIP_S, FIRST_PLAIN_TAKE + take)
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    return Clip(path, anomalous=False)


def _faulty_clip(place: Path, machine: Machine, kind: str, take: int) -> Clip:
    number = FIRST_FAULTY_TAKE + take
    fault = Fault(kind, 2.0, CLIP_S - 4.0, LEVEL_DB)
    sound, _ = machine.with_faults(CLIP_S, number, [fault])
    path = place / f"{kind}-{take}.wav".replace(" ", "-")
    soundfile.write(path, sound, RATE_HZ, subtype="FLOAT")
    plain = machine.normal(CLIP_S, number)
    return Clip(path, anomalous=True, kind=kind, mask=stem_mask(sound - plain, plain))
