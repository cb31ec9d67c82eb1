"""The sets on which detection is measured; here those of folders and of published layouts.

A set is normal sound to learn from and clips to judge, each with its label and, where the truth is
known, a mask on the grid of cells. Clips cut from one recording never stand on both sides.
Mixtures and simulated machines hold nothing that the built-in backbone was trained on; of MIMII
and DCASE2020 it has heard some normal clips (`convert/pretrained/README.md`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.errors import RecordingError
from edge.recording import find_recordings

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Clip:
    """A clip to judge."""

    path: Path
    anomalous: bool
    kind: str = ""  # of anomaly, where a set holds several
    mask: Mask | None = None  # [columns, rows] of cells that hold the event; None: not known
    snr_db: float | None = None  # of a mixed event against its background


@dataclass(frozen=True)
class EvaluationSet:
    """Normal sound to learn from, and clips to judge."""

    name: str  # sets of one name, several machines, are averaged
    normal: list[Path]
    clips: list[Clip]


def folder_set(normal: Path, anomalous: Path) -> EvaluationSet:
    """Two folders: of the normal recordings, sorted by name, the last half is judged.

    Raises:
        RecordingError: too few recordings.
    """
    paths = find_recordings(normal)
    if len(paths) < 2:  # noqa: PLR2004
        raise RecordingError(f"{normal}: one recording can't be learnt from and judged as well")
    half = len(paths) // 2
    clips = [Clip(path, anomalous=False) for path in paths[half:]]
    clips += [Clip(path, anomalous=True) for path in find_recordings(anomalous)]
    return EvaluationSet(normal.parent.name or str(normal), paths[:half], clips)


def mimii_sets(root: Path) -> list[EvaluationSet]:
    """MIMII as published: `<machine>/id_NN/{normal,abnormal}/*.wav`, a set for each id."""
    folders = sorted(p for p in root.glob("**/id_*") if (p / "normal").is_dir())
    if not folders:
        raise RecordingError(f"{root}: no <machine>/id_NN/normal in it; is this MIMII?")
    sets = []
    for folder in folders:
        found = folder_set(folder / "normal", folder / "abnormal")
        name = f"{folder.parent.name} {folder.name}"
        sets.append(EvaluationSet(name, found.normal, found.clips))
    return sets


def dcase_sets(root: Path) -> list[EvaluationSet]:
    """DCASE2020-2024 Task 2 as published: `<machine>/{train,test}`, a set for each id or section.

    The id is in a file's name: `normal_id_00_00000001.wav`, `section_00_source_test_anomaly_...`.
    """
    machines = sorted(p.parent for p in root.glob("**/test") if (p.parent / "train").is_dir())
    if not machines:
        raise RecordingError(f"{root}: no <machine>/train and <machine>/test in it; is this DCASE?")
    sets = []
    for machine in machines:
        tests = find_recordings(machine / "test")
        for identity in sorted({_identity(path) for path in tests}):
            normal = [p for p in find_recordings(machine / "train") if _identity(p) == identity]
            clips = [Clip(p, "anomaly" in p.name) for p in tests if _identity(p) == identity]
            if normal:
                sets.append(EvaluationSet(f"{machine.name} {identity}", normal, clips))
    return sets


def _identity(path: Path) -> str:
    parts = path.stem.split("_")
    for word in ("id", "section"):
        if word in parts[:-1]:
            return f"{word}_{parts[parts.index(word) + 1]}"
    return "all"
