"""What is measured on: a simulated machine, a bundle learnt from it, and sound to score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import RATE_HZ, Fault, Machine
from calibration.survey import survey

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

SEED, FAULTY_TAKE, TAKE_S = 7, 999, 60.0
FAULTS = (
    Fault("leak hiss", 24.0, 2.0, level_db=15.0),
    Fault("cavitation", 40.0, 2.0, level_db=15.0),
)
CONFIGURATION = """
[node]
id = "bench"
state_dir = "{folder}/state"
[bundle]
path = "{folder}/bundle"
runtime = "{runtime}"
[source]
{source}
[mqtt]
url = "mqtt://127.0.0.1:9"
drain_s = 0
"""


class BenchSite:
    """Files in a folder that is there; made once, and found there afterwards.

    Args:
        folder: where they go.
        minutes: of normal sound to learn; from twelve on the slowest scale is used too.
        scored_s: seconds of sound to score, with two faults in each minute.
    """

    def __init__(self, folder: Path, *, minutes: int, scored_s: float) -> None:
        self.folder, self.bundle, self.scored_s = folder, folder / "bundle", scored_s
        self.machine = Machine(SEED)
        self.day = folder / "day.wav"
        if not self.day.exists():
            self._make(minutes)

    def _make(self, minutes: int) -> None:
        normal = self.folder / "normal"
        normal.mkdir()
        for take in range(minutes):
            soundfile.write(normal / f"{take:03}.flac", self.normal(take), RATE_HZ)
        learn(self.bundle, builtin_backbone(), survey(normal))
        minute = self.faulty()
        with soundfile.SoundFile(self.day, "w", RATE_HZ, 1) as file:
            for _ in range(round(self.scored_s / TAKE_S)):
                file.write(minute)

    def normal(self, take: int) -> NDArray[np.float64]:
        """A minute of normal sound."""
        return self.machine.normal(TAKE_S, take)

    def faulty(self) -> NDArray[np.float64]:
        """A minute with two faults."""
        return self.machine.with_faults(TAKE_S, FAULTY_TAKE, FAULTS)[0]

    def configuration(self, name: str, source: str, runtime: str = "auto") -> Path:
        """A node's settings with that source."""
        path = self.folder / f"{name}.toml"
        settings = CONFIGURATION.format(folder=self.folder, source=source, runtime=runtime)
        path.write_text(settings)
        return path

    def played(self, name: str, *, realtime: bool, runtime: str = "auto") -> Path:
        """Settings of a node that hears the sound to score."""
        lines = f'kind = "file"\npath = "{self.day}"\nrealtime = {str(realtime).lower()}'
        return self.configuration(name, lines, runtime)
