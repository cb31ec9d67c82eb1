"""The clock: without a right one TLS fails, and events are dated wrongly until it is right."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import edge
from edge.clock import build_time_s, kernel_synced
from edge.doctor.check import Check

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.doctor.check import Visit

DAY_S = 86_400.0
LATEST_S = 4_102_444_800.0  # 2100
SET = "connect the network and wait a minute, or: sudo timedatectl set-ntp true"


def checks(_: Visit) -> Iterator[Check]:
    """All of them."""
    yield clock_check(time.time(), kernel_synced(), build_time_s(Path(edge.__file__)))


def clock_check(utc_s: float, synced: bool, floor_s: float) -> Check:
    """F31.

    Args:
        utc_s: what the clock says.
        synced: whether the system says that it is synchronised.
        floor_s: a moment that has passed for certain.
    """
    text = f"{datetime.fromtimestamp(utc_s, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    if utc_s < floor_s - DAY_S:
        why = "earlier than this program was installed"
        return Check("clock", "failed", f"{text}: {why}; TLS can't work", SET)
    if utc_s > LATEST_S:
        return Check("clock", "failed", f"{text}: that far in the future TLS can't work", SET)
    if not synced:
        return Check("clock", "warning", f"{text}, not synchronised", SET)
    return Check("clock", "ok", f"{text}, synchronised")
