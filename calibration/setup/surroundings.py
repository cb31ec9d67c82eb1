"""What setup looks at for real: sound cards, the level of one, the broker."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from calibration.setup.partners import Choice
from edge.capture.capture import Capture
from edge.capture.devices import list_microphones
from edge.capture.meter import Meter
from edge.capture.microphone import Microphone
from edge.capture.settings import LivenessSettings, MicrophoneSource
from edge.delivery.check import stage_check

if TYPE_CHECKING:
    from edge.delivery.check import Stage
    from edge.delivery.settings import MqttSettings

LISTEN_S, READ_S = 6.0, 0.1


class Here:
    """This computer.

    Args:
        password_file: where the password lies that systemd hands to the node, if there is one.
        listen_s: how long the level is shown.
    """

    def __init__(self, password_file: Path, *, listen_s: float = LISTEN_S) -> None:
        self._password_file, self._listen_s = password_file, listen_s

    def microphones(self) -> list[Choice]:
        """Those that can be recorded from, listed just now."""
        listing = list_microphones(Path("/"))
        return [Choice(m.device, m.name, m.note) for m in listing.microphones if m.usable]

    def listen(self, device: str) -> str:
        """Show its level; returns the last state and the loudest level, in words."""
        liveness, meter = LivenessSettings(), Meter()
        loudest_dbfs = float("-inf")
        until = time.monotonic() + self._listen_s
        with Capture(Microphone(MicrophoneSource(device=device), liveness), liveness) as capture:
            try:
                while time.monotonic() < until:
                    capture.read(timeout_s=READ_S)
                    status = capture.status
                    meter.show(status)
                    if status.level_dbfs is not None:
                        loudest_dbfs = max(loudest_dbfs, status.level_dbfs)
            finally:
                meter.end()
        if status.state != "hearing":
            return f"not heard: it is {status.state}{f', {status.reason}' * bool(status.reason)}"
        return f"heard, at most {loudest_dbfs:.0f} dBFS loud"

    def broker(self, settings: MqttSettings, node: str, password: str | None) -> list[Stage]:
        """DNS, TCP, TLS, CONNECT, and a message that the broker acknowledges."""
        replace = msgspec.structs.replace
        if password is not None:
            with tempfile.NamedTemporaryFile("w", encoding="utf-8") as file:  # mode 0600
                file.write(f"{password}\n")
                file.flush()
                return stage_check(replace(settings, password_file=file.name), node)
        if settings.username and not settings.password_file and self._password_file.exists():
            settings = replace(settings, password_file=str(self._password_file))
        return stage_check(settings, node)
