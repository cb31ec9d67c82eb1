"""What a technician brings to a machine: a bundle, a configuration, and here a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

import soundfile

from calibration.simulator import RATE_HZ
from tests.conftest import MACHINE

if TYPE_CHECKING:
    from tests.conftest import Site
    from tests.slow.machine import Machine

UNIT = "earpatch.service"
CONFIG, STATE = "etc/earpatch/earpatch.toml", "var/lib/earpatch"
HEARD_S = 240.0
RECORDING = 'kind = "file"\npath = "/var/lib/earpatch/day.wav"\nrealtime = true'
NO_MICROPHONE = 'kind = "microphone"\ndevice = "card:NotHere"'


def put_state(machine: Machine, site: Site) -> None:
    """A bundle, and four minutes of normal sound."""
    state = machine.root / STATE
    site.copy_bundle(state / "bundle")
    soundfile.write(state / "day.wav", MACHINE.normal(HEARD_S, 77), RATE_HZ)
    machine.chroot("chown", "-R", "earpatch:", f"/{STATE}")


def configure(machine: Machine, source: str, *, node: str = "pump-3", more: str = "") -> None:
    """Write the configuration."""
    (machine.root / CONFIG).write_text(
        f'[node]\nid = "{node}"\n[source]\n{source}\n'
        f'[bundle]\npath = "/{STATE}/bundle"\n[mqtt]\nurl = "mqtt://127.0.0.1:1883"\n{more}'
    )
