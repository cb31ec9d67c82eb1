"""The service unit: it starts whatever happens, and never gives up."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from edge.delivery.publisher import HURRIED_DRAIN_S
from edge.health import UNSCORED_S
from edge.node import CLIPS_CLOSE_S

UNITS = sorted((Path(__file__).resolve().parents[1] / "systemd").glob("*.service"))
VERIFY_S = 60.0
SERVICE = pytest.mark.parametrize("unit", UNITS, ids=lambda path: path.name)


def options(unit: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]
    parser.read_string(unit.read_text(encoding="utf-8"))
    return parser


def test_there_is_a_service_to_test() -> None:
    assert [unit.name for unit in UNITS if unit.name == "earpatch.service"]


@SERVICE
def test_systemd_accepts_the_unit(unit: Path, tmp_path: Path) -> None:
    """With ExecStart set to a program that exists here; all else stays as it is."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    copy = tmp_path / unit.name
    text, changed = re.subn(r"(?m)^(Exec\w+)=\S+", r"\1=/bin/true", unit.read_text("utf-8"))
    assert changed
    copy.write_text(text)
    done = subprocess.run(
        [analyze, "verify", "--man=no", "--recursive-errors=yes", str(copy)],
        capture_output=True, text=True, timeout=VERIFY_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert unit.name not in done.stderr  # not even a warning about an unknown key


@SERVICE
def test_systemd_restarts_the_service_however_it_ended_and_however_often(unit: Path) -> None:
    """I01."""
    found = options(unit)
    assert found["Service"]["Restart"] == "always"
    assert found["Unit"]["StartLimitIntervalSec"] == "0"
    assert float(found["Service"]["RestartSec"].removesuffix("s")) >= 5


@SERVICE
def test_the_service_needs_no_sound_card_no_network_and_no_clock_to_start(unit: Path) -> None:
    """I02, I03: the node itself waits for them."""
    found = options(unit)["Unit"]
    for key in ("Requires", "BindsTo", "Requisite", "BindTo", "PartOf"):
        assert key not in found
    assert ".device" not in unit.read_text("utf-8")
    assert not [key for key in found if key.startswith(("Condition", "Assert"))]


@SERVICE
def test_what_the_service_waits_for_it_also_wants(unit: Path) -> None:
    found = options(unit)["Unit"]
    assert set(found.get("After", "").split()) == set(found.get("Wants", "").split())


@SERVICE
def test_the_service_needs_no_user_session(unit: Path) -> None:
    """E07, E08."""
    found = options(unit)
    assert "/run/user" not in unit.read_text("utf-8")
    assert found["Service"]["User"] not in {"", "root", "pi"}
    assert "audio" in found["Service"]["SupplementaryGroups"].split()
    assert found["Install"]["WantedBy"] == "multi-user.target"


@SERVICE
def test_the_service_may_write_only_where_its_state_lies(unit: Path) -> None:
    """I23: on the system's own file system, never on the boot partition."""
    found = options(unit)["Service"]
    assert found["ProtectSystem"] == "strict"
    own = "earpatch/%i" if "@" in unit.name else "earpatch"
    assert found["StateDirectory"] == own
    assert not [key for key in found if key.startswith(("ReadWritePaths", "BindPaths"))]


@SERVICE
def test_systemd_finds_little_that_the_service_could_do_to_the_computer(unit: Path) -> None:
    """An exposure of 1.5 at most, by systemd's own measure; 10 is none at all."""
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    done = subprocess.run(
        [analyze, "security", "--offline=true", "--no-pager", "--threshold=15", str(unit)],
        capture_output=True, text=True, timeout=VERIFY_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout or done.stderr


@SERVICE
def test_the_service_is_started_when_it_hears_and_killed_when_it_hangs(unit: Path) -> None:
    """E04, E10. The node tells it; that it does is in `edge/test_node_service.py`."""
    found = options(unit)["Service"]
    assert found["Type"] == "notify"
    assert float(found["WatchdogSec"]) >= 2 * UNSCORED_S, "or a node might be killed that is well"
    assert float(found["TimeoutStopSec"]) > HURRIED_DRAIN_S + CLIPS_CLOSE_S


@SERVICE
def test_a_password_is_handed_over_where_there_is_one(unit: Path) -> None:
    """`SetCredential` takes the place of a file that isn't there, which would else be an error."""
    text = unit.read_text("utf-8")
    name = "%i" if "@" in unit.name else "earpatch"
    assert f"LoadCredential=mqtt-password:/etc/earpatch/{name}.password\n" in text
    assert "SetCredential=mqtt-password:\\n\n" in text


def test_the_unit_for_several_nodes_differs_in_their_names_alone() -> None:
    single, several = (
        (UNITS[0].parent / name).read_text("utf-8")
        for name in ("earpatch.service", "earpatch@.service")
    )
    named = several.replace("/etc/earpatch/%i.", "/etc/earpatch/earpatch.")
    named = named.replace("=earpatch/%i\n", "=earpatch\n").replace("earpatch node %i:", "earpatch:")
    assert named == single


def test_the_units_run_on_the_oldest_systemd_that_is_promised() -> None:
    """Ubuntu 22.04, so JetPack 6, has 249. What came later would be ignored there, or refused."""
    later = {"ImportCredential", "RestartSteps", "RestartMaxDelaySec", "LogFilterPatterns"}
    for unit in UNITS:
        assert not later & set(options(unit)["Service"])
        assert "notify-reload" not in unit.read_text("utf-8")
