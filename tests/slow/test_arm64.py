"""The package on an arm64 that QEMU imitates, beside this computer: `make arm64`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import BankLimits, learn
from calibration.simulator import Fault
from calibration.simulator import Machine as Simulated
from calibration.survey import survey
from edge.bundle import open_bundle
from tests.conftest import INSTALLED_RUNTIMES
from tests.slow import parity
from tests.slow.emulated import CACHE, PROCESSORS, Emulated, interpreter, why_not
from tests.slow.machine import PROJECT
from tests.slow.parity_probe import BUNDLES, QUERIES, SOUND, read

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.runtime import KernelChoice, RuntimeName
    from tests.conftest import Site
    from tests.slow.emulated import Processor
    from tests.slow.parity_probe import Arrays, Probed

pytestmark = [
    pytest.mark.arm64,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

MADE_WITH: list[tuple[RuntimeName, KernelChoice]] = [
    ("tflite-runtime", "optimised"),
    ("litert", "xnnpack"),
    ("tflite-runtime", "reference"),
]
LIMITS, RANDOM = BankLimits(max_rows=200), 500  # an imitated BLAS is 100 times slower
PROGRAM, PYTHON = "/usr/bin/earpatch", "/opt/earpatch/current/bin/python"
RECORDINGS = (
    ("day.wav", 48_000, 9.0, ("leak hiss", "cavitation")),
    ("other-rate.flac", 44_100, 6.0, ("belt squeal",)),
)
FIRST_S, EVERY_S, FAULT_S, LEVEL_DB = 1.5, 4.0, 2.0, 15.0
EXTRAS = ("ai-edge-litert", "pytest", "hypothesis", "amqtt", "matplotlib")
WORK = "/srv/parity"
PAGE, MARK = PROJECT / "docs" / "arm64.md", "made by make arm64"
# Emulation takes 10 to 20 times as long.
INSTALL_S, COMMAND_S, PROBE_S, DEMO_S, TESTS_S = 1_500.0, 300.0, 900.0, 1_800.0, 1_800.0
CORE = (
    "bank_file", "embedding", "frontend", "golden", "golden_file", "nearest", "recording",
    "runtime",
)  # fmt: skip
# Of doctor's lines, those that must be well there.
WELL = {
    "python", "processor", "page size", "C library", "runtime and numpy", "packages",
    "configuration", "interpreter", "bundle", "golden windows",
}  # fmt: skip
CONFIG = """
[node]
id = "arm"
state_dir = "state"
[bundle]
path = "material/bundles/reference"
[source]
kind = "file"
path = "material/sound/day.wav"
[mqtt]
url = "mqtt://127.0.0.1:9"
"""


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Path:
    """What both computers get: bundles that were made here, sound, and embeddings."""
    if set(INSTALLED_RUNTIMES) != {"tflite-runtime", "litert"}:
        pytest.skip("both runtimes exist up to Python 3.11 only")
    folder = tmp_path_factory.mktemp("material")
    heard = survey(site.normal)
    random = np.random.default_rng(3)
    for runtime, kernels in MADE_WITH:
        path = folder / BUNDLES / kernels
        learn(path, builtin_backbone(runtime=runtime, kernels=kernels), heard, LIMITS)
    golden = open_bundle(path).golden.embeddings
    of_windows = golden.reshape(-1, golden.shape[-1])
    shape = (RANDOM, of_windows.shape[1])
    usual = random.integers(-128, 128, shape).astype(np.int8)
    extreme = random.choice(np.array([-128, 127], np.int8), shape)
    np.save(folder / QUERIES, np.concatenate([of_windows, usual, extreme]))
    (folder / SOUND).mkdir()
    for name, rate_hz, length_s, kinds in RECORDINGS:
        starts_s = (FIRST_S, FIRST_S + EVERY_S)
        faults = [
            Fault(kind, start_s, FAULT_S, LEVEL_DB)
            for kind, start_s in zip(kinds, starts_s, strict=False)
        ]
        sound, _ = Simulated(7, rate_hz=rate_hz).with_faults(length_s, 51, faults)
        soundfile.write(folder / SOUND / name, sound, rate_hz)
    return folder


@pytest.fixture(scope="module")
def arm(material: Path) -> Iterator[Emulated]:
    """A Debian for arm64 with our package for it."""
    with interpreter():
        emulated = Emulated()
        made = ["make", "-C", str(PROJECT), "deb", "ARCH=arm64"]
        subprocess.run(made, timeout=INSTALL_S, check=True, capture_output=True)
        (package,) = (PROJECT / "dist").glob("earpatch_*_arm64.deb")
        shutil.copy(package, emulated.root / "root/earpatch.deb")
        done = emulated.run("dpkg", "--install", "/root/earpatch.deb", within_s=INSTALL_S)
        assert done.returncode == 0, done.stdout + done.stderr
        print("\ndpkg --install:", *done.stdout.splitlines()[-2:], sep="\n  ")
        emulated.put_extras(*EXTRAS)
        work = emulated.root / WORK[1:]
        shutil.rmtree(work, ignore_errors=True)
        shutil.copytree(PROJECT / "tests", work / "tests")
        shutil.copy(PROJECT / "pyproject.toml", work)
        shutil.copytree(material, work / "material", symlinks=True)
        (work / "node.toml").write_text(CONFIG)
        yield emulated


@pytest.fixture(scope="module")
def here(material: Path) -> tuple[Probed, Arrays]:
    """What this computer makes of it."""
    out = material / "out"
    command = [sys.executable, "-m", "tests.slow.parity_probe", str(material), str(out)]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # as the program itself does
    subprocess.run(command, timeout=PROBE_S, check=True, cwd=PROJECT, env=environment)
    return read(out)


def there(arm: Emulated, processor: Processor) -> tuple[Probed, Arrays]:
    """What an imitated one does."""
    out = f"{WORK}/out-{processor.name}"
    done = arm.run(
        PYTHON, "-m", "tests.slow.parity_probe", f"{WORK}/material", out,
        within_s=PROBE_S, processor=processor, folder=WORK, extras=True,
    )  # fmt: skip
    assert done.returncode == 0, f"{processor.name}: {done.stderr}"
    return read(arm.root / out[1:])


def test_the_package_is_installed_and_runs(arm: Emulated) -> None:
    done = arm.run(PROGRAM, "--version", within_s=COMMAND_S)
    assert done.stdout.startswith("earpatch ")
    print(f"\n{done.stdout.strip()} on", arm.run("uname", "-m", within_s=COMMAND_S).stdout.strip())


def test_doctor_finds_the_computer_in_order(arm: Emulated) -> None:
    command = [PROGRAM, "doctor", "--config", f"{WORK}/node.toml", "--json"]
    done = arm.run(*command, within_s=COMMAND_S, folder=WORK)
    found = {each["name"]: each for each in json.loads(done.stdout)["checks"]}
    print(*(f"{c['state']:8}{name:18} {c['found']}" for name, c in found.items()), sep="\n")
    assert {name: found[name]["state"] for name in WELL} == dict.fromkeys(WELL, "ok")
    assert "aarch64" in found["processor"]["found"]


def test_the_same_sound_is_the_same_events_there(
    arm: Emulated, here: tuple[Probed, Arrays]
) -> None:
    """H15. The table is printed, and kept in docs/arm64.md."""
    front, rows = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        probed = list(pool.map(lambda processor: there(arm, processor), PROCESSORS))
    for processor, seen in zip(PROCESSORS, probed, strict=True):
        assert (here[0].machine, seen[0].machine) == ("x86_64", "aarch64")
        row, more = parity.compare(processor.name, here, seen)
        front.append(row)
        rows += more
    found = parity.lines(front, rows)
    print("", *found, sep="\n")
    (CACHE / "parity.json").write_text(json.dumps(parity.as_json(front, rows), indent=1))
    parity.write_between(PAGE, MARK, found)
    assert {row.name for row in here[0].runs} <= {f"{row.runtime} {row.kernels}" for row in rows}
    complaints = [each for row in front for each in row.complaints()]
    complaints += [each for row in rows for each in row.complaints()]
    assert not complaints, "\n".join(complaints)


def test_the_tests_of_the_core_pass_there(arm: Emulated) -> None:
    """Each file in a process of its own.

    Loading tflite-runtime for arm64 makes the processor take subnormal numbers for zero, and
    hypothesis refuses to draw any then.
    """
    print()
    for name in CORE:
        done = arm.run(
            PYTHON, "-m", "pytest", "-q", "-p", "tests.slow.no_calibration",
            "--hypothesis-profile=ci", f"tests/edge/test_{name}.py",
            within_s=TESTS_S, folder=WORK, extras=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-6_000:]
        print(f"{name}: {done.stdout.splitlines()[-1]}")


def test_the_demo_finds_every_fault_there(arm: Emulated) -> None:
    command = [PROGRAM, "demo", "--output", f"{WORK}/demo"]
    done = arm.run(*command, within_s=DEMO_S, folder=WORK, extras=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print("", *(line for line in done.stdout.splitlines() if "faults found" in line), sep="\n")
