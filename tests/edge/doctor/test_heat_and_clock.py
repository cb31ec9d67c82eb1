"""Temperature, a Pi's power, and the clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.doctor.check import State, Visit
from edge.doctor.clock import LATEST_S, clock_check
from edge.doctor.heat import checks, throttling_check
from tests.edge.doctor.visits import only, put, says, states

if TYPE_CHECKING:
    from pathlib import Path

ZONE, FIRMWARE = "sys/class/thermal/thermal_zone0", "sys/devices/platform/soc/soc:firmware"
NOW_S = 1_795_600_000.0  # in November 2026


def zone(root: Path, number: int, temperature: str) -> Path:
    put(root, f"sys/class/thermal/thermal_zone{number}/type", f"zone-{number}\n")
    put(root, f"sys/class/thermal/thermal_zone{number}/temp", f"{temperature}\n")
    return root


def test_a_computer_that_tells_nothing_is_skipped(tmp_path: Path) -> None:
    assert states(checks(Visit(None, tmp_path))) == {"temperature": "skipped"}


def test_the_hottest_zone_counts_and_nonsense_does_not(tmp_path: Path) -> None:
    for number, text in enumerate(["48312", "81000", "-274000", "N/A", ""]):
        zone(tmp_path, number, text)
    says(only(checks(Visit(None, tmp_path)), "temperature"), "warning", "81 °C", "zone-1", "cool")


def test_a_cool_computer_is_well(tmp_path: Path) -> None:
    says(only(checks(Visit(None, zone(tmp_path, 0, "48312"))), "temperature"), "ok", "48 °C")


@pytest.mark.parametrize(
    ("word", "state", "words"),
    [
        (0x0, "ok", "enough"),
        (0x1, "failed", "under-voltage now"),
        (0x50005, "failed", "under-voltage now"),
        (0x4, "warning", "throttled"),
        (0x8, "warning", "soft temperature limit"),
        (0x50000, "warning", "under-voltage since the start"),
        (0x20000, "warning", "frequency capped"),
    ],
)
def test_what_the_firmware_of_a_pi_says(
    tmp_path: Path, word: int, state: State, words: str
) -> None:
    put(tmp_path, f"{FIRMWARE}/get_throttled", f"{word:x}\n")
    says(only(checks(Visit(None, tmp_path)), "power"), state, words)


def test_vcgencmd_is_asked_where_the_kernel_does_not_say(tmp_path: Path) -> None:
    put(tmp_path, "usr/bin/vcgencmd", "#!/bin/sh\necho throttled=0x50005\n").chmod(0o755)
    says(only(checks(Visit(None, tmp_path)), "power"), "failed", "under-voltage now")


def test_a_vcgencmd_that_fails_is_no_answer(tmp_path: Path) -> None:
    put(tmp_path, "usr/bin/vcgencmd", "#!/bin/sh\necho VCHI initialization failed\nexit 255\n")
    (tmp_path / "usr/bin/vcgencmd").chmod(0o755)
    assert "power" not in states(checks(Visit(None, tmp_path)))


@given(st.integers(0, 2**20 - 1))
def test_only_a_clean_word_is_well(word: int) -> None:
    known = word & 0xF000F
    assert (throttling_check(word).state == "ok") == (known == 0)


@pytest.mark.parametrize(
    ("utc_s", "synced", "state", "words"),
    [
        (NOW_S + 5, True, "ok", "2026-11-25"),
        (NOW_S + 5, False, "warning", "not synchronised"),
        (0.0, True, "failed", "1970"),
        (NOW_S - 7 * 86_400, False, "failed", "earlier"),
        (LATEST_S + 1, True, "failed", "future"),
    ],
)
def test_a_clock_that_can_t_be_right_is_told_as_such(
    utc_s: float, synced: bool, state: State, words: str
) -> None:
    """F31: a gateway seven days behind; TLS fails there, and the clock is the reason."""
    says(clock_check(utc_s, synced, NOW_S), state, words)
