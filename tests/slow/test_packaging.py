"""Installed, removed, purged, packaged: what is there afterwards. Part of `make boot-test`."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.slow.machine import PROJECT, Machine, why_not
from tests.slow.site import CONFIG, NO_MICROPHONE, STATE, UNIT, configure, put_state

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Site

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]

# What a Debian changes by itself when a user is made and removed, or a package is.
OF_DEBIAN = re.compile(
    r"(etc/(passwd|group|shadow|gshadow|subuid|subgid)-?|etc/\.pwd\.lock|etc/ld\.so\.cache"
    r"|var/(lib/dpkg|log|cache)(/.*)?|tmp(/.*)?|run(/.*)?|root/.*)\Z"
)


def paths(root: Path) -> set[str]:
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    return {path for path in found if not OF_DEBIAN.match(path) and "__pycache__" not in path}


def test_what_is_uninstalled_leaves_configuration_and_state_and_what_is_purged_nothing(
    tmp_path: Path, site: Site
) -> None:
    """H12, H13: a bare Debian, no wheel of PyAudio, and pip refuses the system's Python."""
    machine = Machine(tmp_path / "root")
    before = paths(machine.root)
    assert machine.make("install").returncode == 0
    put_state(machine, site)
    configure(machine, NO_MICROPHONE)
    made = paths(machine.root) - before
    places = ("etc/earpatch", "opt/earpatch", "usr/lib/earpatch", "usr/share/doc/earpatch", STATE)
    units = {f"usr/lib/systemd/system/{name}.service" for name in ("earpatch", "earpatch@")}
    single = {"usr/bin/earpatch", "usr/lib/sysusers.d/earpatch.conf", *units}
    assert {path for path in made if not path.startswith(places)} == single
    assert machine.make("uninstall").returncode == 0
    left = paths(machine.root) - before
    assert left
    assert all(path.startswith(("etc/earpatch", STATE)) for path in left)
    assert machine.make("install").returncode == 0
    assert (machine.root / CONFIG).exists()
    assert machine.make("uninstall", "PURGE=1").returncode == 0
    assert paths(machine.root) == before
    assert "earpatch" not in (machine.root / "etc/passwd").read_text()


def test_the_debian_package_does_the_same(tmp_path: Path, site: Site) -> None:
    machine = Machine(tmp_path / "root")
    before = paths(machine.root)
    assert machine.make("deb").returncode == 0
    (package,) = (PROJECT / "dist").glob(f"earpatch_*_{architecture(machine)}.deb")
    shutil.copy(package, machine.root / "root/earpatch.deb")
    done = machine.chroot("dpkg", "--install", "/root/earpatch.deb")
    assert done.returncode == 0, done.stderr
    put_state(machine, site)
    configure(machine, NO_MICROPHONE)
    with machine.booted():
        started = machine.run("systemctl", "start", UNIT)
        assert started.returncode == 0, started.stderr
        assert machine.run("dpkg", "--remove", "earpatch").returncode == 0
        assert machine.show(UNIT, "ActiveState") != "active"
    assert not (machine.root / "opt/earpatch").exists()
    assert (machine.root / CONFIG).exists()
    assert (machine.root / STATE / "bundle").exists()
    assert machine.chroot("dpkg", "--purge", "earpatch").returncode == 0
    assert {path for path in paths(machine.root) - before if "earpatch" in path} == set()


def architecture(machine: Machine) -> str:
    return machine.chroot("dpkg", "--print-architecture").stdout.strip()
