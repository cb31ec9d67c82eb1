"""Whether what was learnt still holds for what is heard, and if not, what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from edge.delivery.messages import CalibrationState
    from edge.drift import Drift
    from edge.manifest import Manifest

AGEING = (
    "sound has moved away from what was learnt; lasting deviations are told once an hour. "
    "While the machine is well, calibrate anew"
)
LIMIT_SHARE = 0.9
LOWER = (
    "made with sound up to {learnt:.0f} Hz, and this goes up to {heard:.0f} Hz: what is missing "
    "looks like a fault; calibrate anew with this microphone at this rate"
)
STALE = "made with the microphone {made_with}, and this is {now}; calibrate anew with this one"


class CalibrationStatus(NamedTuple):
    """Whether an input's calibration still holds, and if not, what to do."""

    state: CalibrationState
    reason: str


def calibration_status(
    manifest: Manifest, identity: str | None, heard_hz: float | None, drift: Drift
) -> CalibrationStatus:
    """How a calibration stands.

    Args:
        manifest: of the bundle.
        identity: of the microphone, if there is one.
        heard_hz: up to where the sound goes, if there is any.
        drift: what watches the scores.
    """
    made_with, learnt_hz = manifest.microphone, manifest.limit_hz
    if made_with and identity and made_with != identity:
        return CalibrationStatus("stale", STALE.format(made_with=made_with, now=identity))
    if heard_hz is not None and heard_hz < LIMIT_SHARE * learnt_hz:
        return CalibrationStatus("stale", LOWER.format(learnt=learnt_hz, heard=heard_hz))
    if drift.ageing:
        return CalibrationStatus("ageing", AGEING)
    return CalibrationStatus("current", "")
