"""The computer: what earpatch's wheels take for granted, and what isn't so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from edge.doctor.check import State, Visit
from edge.doctor.computer import (
    Computer,
    checks,
    glibc_check,
    page_check,
    processor_check,
    python_check,
    this_computer,
)
from tests.edge.doctor.visits import only, put, says

if TYPE_CHECKING:
    from pathlib import Path

PI5 = Computer((3, 11, 2), 64, "aarch64", 16_384, (2, 36), "Features\t: fp asimd asimddp crc32")
PI_ZERO = "processor\t: 0\nmodel name\t: ARMv6-compatible processor rev 7 (v6l)\n"
OLD_PC = "flags\t\t: fpu sse sse2 ssse3"


@pytest.mark.parametrize(
    ("python", "state"),
    [((3, 9, 2), "failed"), ((3, 10, 0), "ok"), ((3, 13, 1), "ok"), ((3, 14, 0), "failed")],
)
def test_there_are_wheels_for_python_3_10_to_3_13(
    python: tuple[int, int, int], state: State
) -> None:
    """H01, H02."""
    says(python_check(replace(PI5, python=python)), state, ".".join(map(str, python)))


def test_a_32_bit_system_on_a_64_bit_kernel_is_said_to_be_one() -> None:
    """H02: `uname -m` says aarch64 there."""
    says(python_check(replace(PI5, bits=32)), "warning", "32-bit system", "64-bit")


@pytest.mark.parametrize(
    ("machine", "cpuinfo"), [("armv6l", ""), ("armv7l", PI_ZERO)], ids=["uname", "cpuinfo"]
)
def test_a_pi_zero_is_known_before_anything_is_loaded(machine: str, cpuinfo: str) -> None:
    """H06: no runtime works there; they die of SIGILL."""
    computer = replace(PI5, machine=machine, cpuinfo=cpuinfo, bits=32)
    says(processor_check(computer), "failed", "ARMv6", "Zero 2")


def test_an_armv6_below_the_root_keeps_doctor_from_trying(tmp_path: Path) -> None:
    put(tmp_path, "proc/cpuinfo", PI_ZERO)
    visit = Visit(None, tmp_path)
    assert only(checks(visit), "processor").state == "failed"
    assert not visit.has_interpreter


def test_a_processor_without_what_numpy_2_needs_is_a_warning() -> None:
    says(processor_check(replace(PI5, machine="x86_64", cpuinfo=OLD_PC)), "warning", "SSE4.2")


def test_an_armv7_without_neon_can_t_do_it() -> None:
    """H07."""
    computer = replace(PI5, machine="armv7l", bits=32, cpuinfo="Features\t: half thumb vfp")
    says(processor_check(computer), "failed", "NEON")


def test_a_processor_that_another_kind_imitates_is_not_told_with_the_others_features() -> None:
    """A container for arm64 on a PC sees the PC's /proc/cpuinfo."""
    says(processor_check(replace(PI5, cpuinfo=OLD_PC)), "warning", "aarch64, imitated", "real")
    assert "sse2" not in processor_check(replace(PI5, cpuinfo=OLD_PC)).found
    arm = replace(PI5, machine="x86_64")
    says(processor_check(arm), "warning", "x86_64, imitated")


def test_a_good_processor_is_told_with_what_matters_of_it() -> None:
    says(processor_check(PI5), "ok", "aarch64", "asimddp")


@pytest.mark.parametrize(
    ("page_bytes", "bits", "state"),
    [(4_096, 64, "ok"), (4_096, 32, "ok"), (16_384, 64, "ok"), (16_384, 32, "warning")],
)
def test_pages_of_16_kib_are_a_matter_of_32_bit_programs(
    page_bytes: int, bits: int, state: State
) -> None:
    found = page_check(replace(PI5, page_bytes=page_bytes, bits=bits))
    says(found, state, f"{page_bytes // 1024} KiB")


def test_a_library_older_than_the_wheels_is_named() -> None:
    needs = [("numpy", (2, 17)), ("ai-edge-litert", (2, 27))]
    says(glibc_check(PI5, needs), "ok", "2.36")
    older = glibc_check(replace(PI5, glibc=(2, 24)), needs)
    says(older, "failed", "ai-edge-litert needs 2.27", "2.24")
    assert "numpy" not in older.found
    says(glibc_check(replace(PI5, glibc=None), needs), "failed", "not glibc")


def test_this_very_computer_is_one_that_runs_earpatch(tmp_path: Path) -> None:
    found = list(checks(Visit(None)))
    assert {check.state for check in found} <= {"ok", "warning"}
    assert this_computer(tmp_path).cpuinfo == ""
    put(tmp_path, "proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    assert only(checks(Visit(None, tmp_path)), "computer").found == "Raspberry Pi 5 Model B Rev 1.0"
