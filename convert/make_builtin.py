"""Makes the backbone that ships in `edge/builtin`: `python -m convert.make_builtin`.

The float weights are those in `convert/pretrained`, which `earpatch pretrain` made; simulated
machines, healthy and faulty, give the windows on which they are quantised.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import soundfile

import edge
from calibration.backbones import BUILTIN_CARD, BUILTIN_MODEL, BackboneCard
from calibration.simulator import FAULTS, Fault, Machine
from calibration.survey import survey
from convert.build import build_backbone, representative_windows
from edge.progress import track

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from calibration.survey import Survey

    FloatArray = NDArray[np.float32]

MACHINES = range(100, 112)
SECONDS = 12.0


def main() -> int:
    """Simulate, build, and write both files."""
    target = Path(edge.__file__).parent / "builtin"
    with tempfile.TemporaryDirectory() as scratch:
        source = build_backbone("student", None, simulate(Path(scratch)))
    target.mkdir(exist_ok=True)
    card = BackboneCard(source.backbone.info, source.front_end, source.reference_level_dbfs)
    (target / BUILTIN_MODEL).write_bytes(source.model)
    encoded = msgspec.json.format(msgspec.json.encode(card), indent=2)
    (target / BUILTIN_CARD).write_bytes(encoded + b"\n")
    print(f"{target / BUILTIN_MODEL}: {len(source.model)} bytes")
    return 0


def builtin_windows() -> tuple[FloatArray, FloatArray]:
    """Normal and disturbed windows on which the built-in is quantised, both [n, frames, bands]."""
    with tempfile.TemporaryDirectory() as scratch:
        return representative_windows(simulate(Path(scratch)))


def simulate(folder: Path) -> Survey:
    """The sound from which the backbone's representative windows are drawn."""
    for seed in track(MACHINES, "Simulating machines", len(MACHINES), "machines"):
        _write_machine(folder, seed)
    return survey(folder, accept=True)


def _write_machine(folder: Path, seed: int) -> None:
    kinds = sorted(FAULTS)
    faults = [Fault(kinds[seed % len(kinds)], 6.0, 4.0)]
    sound, _ = Machine(seed).with_faults(SECONDS, 0, faults)
    soundfile.write(folder / f"{seed}.wav", sound, Machine(seed).rate_hz)


if __name__ == "__main__":
    sys.exit(main())
