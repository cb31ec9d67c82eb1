"""The commands around a bundle's life, as a technician meets them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import soundfile

from calibration.simulator import RATE_HZ, Machine
from edge.archive import pack
from edge.bundle_store import current_version
from tests.conftest import MACHINE, Site
from tests.edge.made import files_of, tiny

if TYPE_CHECKING:
    from pathlib import Path

CHILD_S = 120.0


def earpatch(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "convert.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)


def one_line(ran: subprocess.CompletedProcess[str], *words: str) -> None:
    assert ran.returncode == 2, ran.stdout + ran.stderr
    assert ran.stderr.startswith("earpatch: ")
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert [word for word in words if word not in ran.stderr] == []


@pytest.fixture(scope="module")
def workshop(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys, and a packed bundle that another machine's calibration made."""
    folder = tmp_path_factory.mktemp("workshop")
    assert earpatch("keys", folder / "keys").returncode == 0
    (private,) = (folder / "keys").glob("*.key")
    (folder / "plain").mkdir()
    for name, data in files_of(site, "the workshop").items():
        (folder / "plain" / name).write_bytes(data)
    packed = earpatch("pack", folder / "plain", folder / "x.earpatch", "--key", private)
    assert packed.returncode == 0, packed.stderr
    soundfile.write(folder / "normal.wav", MACHINE.normal(30.0, 60), RATE_HZ)
    soundfile.write(folder / "other.wav", Machine(12).normal(30.0, 60), RATE_HZ)
    return folder


def test_install_with_sound_tests_at_once_and_stays(
    site: Site, workshop: Path, tmp_path: Path
) -> None:
    bundle = site.copy_bundle(tmp_path / "bundle")
    ran = earpatch(
        "install", workshop / "x.earpatch", bundle, "--trust", workshop / "keys",
        "--sound", workshop / "normal.wav",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    first, golden, passed = ran.stdout.splitlines()
    assert "signed with earpatch-" in first
    assert "golden windows: all 7 equal" in golden
    assert "passed its self-test and stays" in passed
    listed = [
        json.loads(line) for line in earpatch("bundles", bundle, "--json").stdout.splitlines()
    ]
    assert {each["state"] for each in listed} == {"current", "previous"}


def test_install_with_sound_of_another_machine_rolls_back(
    site: Site, workshop: Path, tmp_path: Path
) -> None:
    bundle = site.copy_bundle(tmp_path / "bundle")
    before = current_version(bundle)
    ran = earpatch(
        "install", workshop / "x.earpatch", bundle, "--trust", workshop / "keys",
        "--sound", workshop / "other.wav",
    )  # fmt: skip
    one_line(ran, "failed: ", "learnt from another machine", "Rolled back to")
    assert current_version(bundle) == before
    states = [line.split()[0] for line in earpatch("bundles", bundle).stdout.splitlines()
              if not line.startswith(" ")]  # fmt: skip
    assert sorted(states) == ["current", "failed"]


def test_install_without_sound_leaves_the_test_to_the_node_and_rollback_goes_back(
    site: Site, workshop: Path, tmp_path: Path
) -> None:
    bundle = site.copy_bundle(tmp_path / "bundle")
    before = current_version(bundle)
    ran = earpatch("install", workshop / "x.earpatch", bundle, "--trust", workshop / "keys")
    assert ran.returncode == 0
    assert "on trial: a running node takes it up within a minute" in ran.stdout
    back = earpatch("rollback", bundle)
    assert back.stdout == f"{bundle}: back to {before.name}\n"
    one_line(earpatch("rollback", bundle), "no earlier version")


def test_mistakes_are_one_line_each(site: Site, workshop: Path, tmp_path: Path) -> None:
    archive, bundle = workshop / "x.earpatch", tmp_path / "bundle"
    one_line(earpatch("install", archive, bundle, "--trust", "/nowhere"), "no trusted keys there")
    one_line(earpatch("install", tmp_path / "x", bundle, "--allow-unsigned"), "No such file")
    (tmp_path / "tiny").write_bytes(pack(tiny(site, "x")))
    one_line(earpatch("install", tmp_path / "tiny", bundle), "not signed")
    one_line(earpatch("install", tmp_path / "tiny", bundle, "--allow-unsigned"), "load the model")
    silence = tmp_path / "silence.wav"
    soundfile.write(silence, MACHINE.normal(30.0, 1) * 0, RATE_HZ)
    one_line(
        earpatch("install", archive, bundle, "--allow-unsigned", "--sound", silence), "silence"
    )
    one_line(earpatch("bundles", tmp_path / "gone"), "no such bundle")
    one_line(earpatch("golden", tmp_path / "gone"), "no such bundle")
    one_line(earpatch("pack", site.bundle_path, "/proc/x"), "/proc/x: can't be written")
    one_line(earpatch("keys", "/proc/x"), "can't keep a key")


def test_golden_compares_every_runtime_that_works_here(site: Site, workshop: Path) -> None:
    ran = earpatch("golden", site.bundle_path, workshop / "normal.wav")
    assert ran.returncode == 0, ran.stderr
    title, *rows = ran.stdout.splitlines()
    assert title.split()[:4] == ["runtime", "kernels", "golden", "equal"]
    assert any(" equal " in row for row in rows)
    objects = [json.loads(line) for line in earpatch("golden", site.bundle_path, "--json")
               .stdout.splitlines()]  # fmt: skip
    assert len(objects) == len(rows)
    assert {each["verdict"] for each in objects} <= {"equal", "tolerated"}
