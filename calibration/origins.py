"""Where the bank's rows were heard: the calibration recordings, as long as they are still there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from calibration.survey import file_digest
from edge.errors import RecordingError
from edge.recording import RecordingInfo, recording_info

if TYPE_CHECKING:
    from edge.bundle import Manifest, RecordingProvenance


@dataclass(frozen=True)
class Origin:
    """Where a row of the bank was heard."""

    name: str
    at_s: float  # the beginning of its column
    recording: RecordingInfo | None  # none when it can't be shown
    missing: str  # why it can't


class Origins:
    """Finds the origins of bank rows; every recording is looked at once."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest
        self._looked_at: dict[int, tuple[RecordingInfo | None, str]] = {}

    def of(self, bank_row: int) -> Origin:
        """The origin of a row of the bank."""
        bank = self._manifest.bank
        number = bank.origin_recording[bank_row]
        provenance = self._manifest.recordings[number]
        if number not in self._looked_at:
            self._looked_at[number] = _look_at(provenance)
        info, missing = self._looked_at[number]
        return Origin(Path(provenance.path).name, bank.origin_s[bank_row], info, missing)


def _look_at(provenance: RecordingProvenance) -> tuple[RecordingInfo | None, str]:
    path = Path(provenance.path)
    try:
        if not path.is_file():
            return None, f"it is gone: there is no {path} any more"
        if file_digest(path) != provenance.sha256:
            return None, f"it is gone: {path} is another recording now"
        return recording_info(path), ""
    except (OSError, RecordingError):
        return None, f"{path} can't be read"
