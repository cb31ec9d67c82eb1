"""Which run of the computer this is: the kernel draws an id at every boot."""

from __future__ import annotations

import uuid
from functools import cache
from pathlib import Path

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """The kernel's boot id; where there is none, one for this process."""
    try:
        return str(uuid.UUID(BOOT_ID_FILE.read_text(encoding="ascii").strip()))
    except (OSError, ValueError):
        return str(uuid.uuid4())
