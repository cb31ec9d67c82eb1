"""Temperature, and whether a Raspberry Pi slows down or lacks power."""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING

from edge.doctor.check import Check, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.doctor.check import Visit

HOT_C, PLAUSIBLE_C = 80.0, (-40.0, 150.0)  # a Pi slows down from 80 on, a Jetson from 95
VCGENCMD_S = 5.0
# Bits of the firmware's answer: now, and 16 higher since the start.
UNDER_VOLTAGE = 0
SLOWER = {1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}
SINCE = 16
POWER = "use the Pi's own supply and a short, thick cable; hang USB devices on a powered hub"
COOL = "cool it: a heat sink, a fan, a larger case, out of the sun"


def checks(visit: Visit) -> Iterator[Check]:
    """All of them."""
    yield temperature_check(list(temperatures(visit.root)))
    word = throttled_word(visit.root)
    if word is not None:
        yield throttling_check(word)


def temperatures(root: Path) -> Iterator[tuple[str, float]]:
    """Each thermal zone's name and degrees Celsius."""
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        text = read_text(zone / "temp") or ""
        if re.fullmatch(r"-?\d+", text) and PLAUSIBLE_C[0] < int(text) / 1000 < PLAUSIBLE_C[1]:
            yield read_text(zone / "type") or zone.name, int(text) / 1000


def temperature_check(found: list[tuple[str, float]]) -> Check:
    """The hottest one."""
    if not found:
        return Check("temperature", "skipped", "this computer doesn't tell")
    name, hottest_c = max(found, key=lambda each: each[1])
    text = f"{hottest_c:.0f} °C ({name})"
    if hottest_c >= HOT_C:
        return Check("temperature", "warning", text, COOL)
    return Check("temperature", "ok", text)


def throttled_word(root: Path) -> int | None:
    """The firmware's answer from the kernel, or from vcgencmd; None elsewhere than on a Pi."""
    text = read_text(root / "sys/devices/platform/soc/soc:firmware/get_throttled")
    if text is None:
        text = _vcgencmd(root)
    try:
        return int(text.rpartition("=")[2], 16) if text else None
    except ValueError:
        return None


def throttling_check(word: int) -> Check:
    """What is slowed down or lacks power now, or did since the start."""
    now = [text for bit, text in SLOWER.items() if word >> bit & 1]
    since = [text for bit, text in SLOWER.items() if word >> (bit + SINCE) & 1]
    if word >> UNDER_VOLTAGE & 1:
        return Check("power", "failed", "under-voltage now: microphones drop out", POWER)
    if now:
        return Check("power", "warning", f"slowed down now: {', '.join(now)}", COOL)
    if word >> (UNDER_VOLTAGE + SINCE) & 1:
        return Check("power", "warning", "under-voltage since the start", POWER)
    if since:
        return Check("power", "warning", f"was slowed down since the start: {since[0]}", COOL)
    return Check("power", "ok", "enough, and never slowed down since the start")


def _vcgencmd(root: Path) -> str | None:
    program = root / "usr/bin/vcgencmd"
    if not program.exists():
        return None
    try:
        done = subprocess.run(
            [program, "get_throttled"],
            capture_output=True, text=True, timeout=VCGENCMD_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip()
