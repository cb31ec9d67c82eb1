"""Situations known from the field: each is named by a test that brings it about, or by a reason.

A test names a situation by its id in its docstring. One that can't be a test stands in a table of a
test module's docstring, `| id | why |`.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).resolve().parent
SECTIONS = {
    "opening the microphone": "A01 A02 A03 A04 A05 A07 A08 A09 A11 A12 A13 A14 A15 A16 A17 A18",
    "which microphone": "B01 B02 B03 B04 B05 B07 B08 B09 B10 B11 B12",
    "overruns": "C01 C02 C03 C04 C05 C06 C07 C08 C09",
    "unplug, replug, hang": "D01 D02 D03 D04 D05 D06 D07 D08 D09 D11 D12 D13 D14",
    "alive but deaf": "E01 E02 E03 E04 E05 E07 E08 E09 E10 E11 E12 E14 E15",
    "MQTT": (
        "F01 F02 F03 F04 F05 F06 F07 F08 F10 F11 F12 F13 F14 F15 F16 F17 F18 F20 F21 F22 "
        "F24 F26 F27 F28 F29 F30 F31 F32 F33 F34 F35 F36 F37 F38"
    ),
    "Sparkplug": "G01 G02 G03 G05 G06 G07 G08 G09 G10 G11",
    "runtimes, wheels, boards": "H01 H02 H03 H04 H05 H06 H07 H08 H09 H10 H12 H13 H14 H15 H16",
    "systemd, clock, disk": (
        "I01 I02 I03 I04 I06 I07 I09 I10 I11 I12 I13 I14 I16 I17 I18 I19 I20 I21 I22 I23 I24"
    ),
}
# What has to be a test, whatever the reason.
FIRST = {
    "A01", "A02", "A08", "A13", "A16", "B01", "B02", "B04", "B08", "B11", "C01", "C02", "C03",
    "C05", "D01", "D04", "D05", "D07", "D08", "E01", "E02", "E03", "E04", "E05", "E11", "F01",
    "F03", "F04", "F05", "F08", "F10", "F12", "F13", "F16", "F22", "F29", "F31", "G01", "G02",
    "G09", "G11", "H01", "H03", "H04", "H06", "H08", "H14", "H15", "I01", "I04", "I06", "I09",
    "I12", "I14", "I21",
}  # fmt: skip
CASES = [case for cases in SECTIONS.values() for case in cases.split()]
_CASE = re.compile(r"\b[A-I]\d\d\b")
_REASON = re.compile(r"^\| ([A-I]\d\d) \| (.{10,}) \|$", re.MULTILINE)


def modules() -> Iterator[ast.Module]:
    for path in TESTS.rglob("test_*.py"):
        yield ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def cases_in_tests() -> set[str]:
    """Ids in the docstrings of tests."""
    found: set[str] = set()
    for module in modules():
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                found |= set(_CASE.findall(ast.get_docstring(node) or ""))
    return found


@cache
def explained() -> dict[str, str]:
    """Ids in the tables of modules, and why they are no tests."""
    found: dict[str, str] = {}
    for module in modules():
        found |= dict(_REASON.findall(ast.get_docstring(module) or ""))
    return found


@pytest.mark.parametrize("case", CASES)
def test_each_situation_is_a_test_or_has_a_reason(case: str) -> None:
    assert case in cases_in_tests() or case in explained()


@pytest.mark.parametrize("case", sorted(FIRST))
def test_what_matters_most_is_a_test(case: str) -> None:
    assert case in cases_in_tests()


def test_no_test_names_a_situation_that_is_not_known() -> None:
    assert cases_in_tests() <= set(CASES)
    assert set(explained()) <= set(CASES)


def test_nothing_is_both_a_test_and_excused() -> None:
    assert not cases_in_tests() & set(explained())
