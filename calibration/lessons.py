"""Operating states taught one after another: `calibrate --add`.

Nothing of the earlier lessons is guessed from the bundle: their recordings are read again, and have
to be what they were.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calibration.findings import Quality
from calibration.survey import Survey, file_digest, judge
from edge.errors import RecordingError
from edge.recording import recording_info

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.bundle import RecordingProvenance


def earlier_lessons(recordings: Sequence[RecordingProvenance]) -> list[Survey]:
    """What a bundle was taught, read again, lesson by lesson.

    Raises:
        RecordingError: a recording is gone or was changed.
    """
    lessons: dict[int, list[RecordingProvenance]] = {}
    for recording in recordings:
        lessons.setdefault(recording.lesson, []).append(recording)
    return [
        judge([recording_info(_unchanged(r)) for r in lesson], accept=True)
        for _, lesson in sorted(lessons.items())
    ]


def together(surveys: Sequence[Survey]) -> Survey:
    """All lessons as one survey, numbered in their order."""
    quality = Quality(
        findings=[finding for survey in surveys for finding in survey.quality.findings],
        left_out={name: cuts for s in surveys for name, cuts in s.quality.left_out.items()},
        remaining_s=sum(survey.quality.remaining_s for survey in surveys),
    )
    provenance = [
        msgspec.structs.replace(recording, lesson=number)
        for number, survey in enumerate(surveys)
        for recording in survey.provenance
    ]
    return Survey([info for s in surveys for info in s.recordings], provenance, quality)


def _unchanged(recording: RecordingProvenance) -> Path:
    path = Path(recording.path)
    if not path.is_file():
        raise RecordingError(
            f"{path}: gone, and the bundle was taught with it. Put it back, or calibrate anew with "
            "the recordings of all operating states in one folder each, the first without --add"
        )
    if file_digest(path) != recording.sha256:
        raise RecordingError(f"{path}: changed since the bundle was taught with it")
    return path
