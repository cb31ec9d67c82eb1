"""The budget: how many instructions a second of sound may take. Counts, so a busy machine is fine.

Cachegrind counts what 6 and what 12 seconds take; the difference is free of the start. Under it
every x86-64 processor is an AVX2 one, so BLAS and TFLite choose the same kernels everywhere. The
count was seen to vary by less than one in a thousand from run to run.

After a change that was meant, write the number that a failure prints into `instructions.json`.
"""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Site

RECORD = Path(__file__).with_name("instructions.json")
TOLERANCE = 0.10
SHORT_S, LONG_S = 6, 12
CHILD_S = 1_200.0
COUNTED = re.compile(r"I +refs: +([\d,]+)")


def start(bundle: Path, seconds: int) -> subprocess.Popen[str]:
    valgrind = [
        "valgrind",
        "--tool=cachegrind",
        "--cache-sim=no",
        "--cachegrind-out-file=/dev/null",
    ]
    child = [sys.executable, "-m", "convert.bench.instructions_child", str(bundle), str(seconds)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    return subprocess.Popen(
        [*valgrind, *child], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def counted(child: subprocess.Popen[str]) -> int:
    try:
        output, _ = child.communicate(timeout=CHILD_S)
    finally:
        child.kill()
    assert child.returncode == 0, output
    found = COUNTED.search(output)
    assert found is not None, output
    return int(found[1].replace(",", ""))


def test_a_second_of_sound_takes_no_more_instructions_than_its_budget(site: Site) -> None:
    record = json.loads(RECORD.read_text())
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    python = ".".join(map(str, sys.version_info[:2]))
    if (platform.machine(), python) != (record["machine"], record["python"]):
        pytest.skip(f"recorded on {record['machine']} with Python {record['python']}")
    here = {name: metadata.version(name) for name in record["versions"]}
    assert here == record["versions"], "other versions are pinned: record anew"
    children = [start(site.bundle_path, seconds) for seconds in (SHORT_S, LONG_S)]
    short, long = (counted(child) for child in children)
    each = (long - short) / (LONG_S - SHORT_S)
    allowed = record["instructions_for_each_s"]
    print(f"\n{each:,.0f} instructions for each second of sound, {allowed:,} recorded")
    assert each < allowed * (1 + TOLERANCE), f"slower: {each:.0f}, {each / allowed - 1:+.0%}"
    assert each > allowed * (1 - TOLERANCE), f"faster: record {each:.0f}, or the budget is loose"
