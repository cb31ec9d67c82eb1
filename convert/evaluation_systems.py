"""What a system is, and earpatch as one: the product with any backbone.

A system learns from normal recordings and gives every clip a map, [columns, rows], on cells of
80 ms by 8 mel bands, and one score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from calibration.learn import learn
from calibration.survey import survey
from edge.bundle import open_bundle
from edge.scoring import score_recording

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from calibration.backbones import BackboneSource
    from calibration.survey import Survey
    from edge.bundle import Bundle

    FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Judgement:
    """What a system says of a clip."""

    score: float
    map: FloatArray
    alarm: float | None  # the value of a cell from which it raises an alarm, if it sets one


class System(Protocol):
    """Something that learns normal sound and judges clips."""

    name: str

    def learn(self, normal: Sequence[Path], folder: Path) -> None:
        """Learn from recordings; `folder` may be written, and stays until they are judged."""
        ...

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """Judge clips, each by itself."""
        ...


class Earpatch:
    """The product, with any backbone: calibrated and scored as a node would."""

    def __init__(self, name: str, make: Callable[[Survey], BackboneSource]) -> None:
        self.name, self._make = name, make
        self._bundle: Bundle | None = None

    def learn(self, normal: Sequence[Path], folder: Path) -> None:
        """Calibrate a bundle."""
        heard = survey_of(normal, folder / "normal")
        learn(folder / "bundle", self._make(heard), heard)
        self._bundle = open_bundle(folder / "bundle")

    def judge(self, paths: Sequence[Path]) -> Iterator[Judgement]:
        """Score as `earpatch score` does."""
        assert self._bundle is not None, "learn() comes first"  # noqa: S101
        for path in paths:
            scored = score_recording(self._bundle, path)
            yield Judgement(scored.verdict.score, scored.evidence, 1.0)


def survey_of(recordings: Sequence[Path], folder: Path) -> Survey:
    """Read recordings from wherever they are, in their order, as if they lay in a new folder.

    Raises:
        RecordingError: one is damaged or silent, or all together are too short.
    """
    folder.mkdir(parents=True)
    for number, path in enumerate(recordings):
        (folder / f"{number:05d}{path.suffix}").symlink_to(path.resolve())
    return survey(folder, accept=True)
