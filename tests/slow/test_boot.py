"""The installed node under a systemd that has really booted: `make boot-test`."""

from __future__ import annotations

import hashlib
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from tests.slow.machine import Machine, why_not
from tests.slow.site import CONFIG, NO_MICROPHONE, RECORDING, STATE, UNIT, configure, put_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Site

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(why_not() is not None, reason=why_not() or ""),
]


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Machine]:
    """A machine into which `make install` was run, with a bundle and four minutes of sound."""
    made = Machine(tmp_path_factory.mktemp("machine"))
    done = made.make("install")
    assert done.returncode == 0, done.stderr
    print("\nmake install:", *done.stdout.splitlines()[-2:], sep="\n  ")
    put_state(made, site)
    made.chroot("systemctl", "enable", UNIT)  # or systemd forgets how it ended
    with made.booted() as up:
        yield up
    shutil.rmtree(made.root, ignore_errors=True)


def start(machine: Machine) -> float:
    """Start the unit, which means until it is ready; returns how long that took, in seconds."""
    began = time.monotonic()
    done = machine.run("systemctl", "restart", UNIT)
    assert done.returncode == 0, done.stderr
    return time.monotonic() - began


def said(machine: Machine, text: str) -> list[int]:
    """With which priorities something was said."""
    return [priority for priority, line in machine.journal(UNIT) if text in line]


def is_active(machine: Machine) -> bool:
    return machine.show(UNIT, "ActiveState") == "active"


def test_a_node_without_its_microphone_starts_says_so_and_stays(machine: Machine) -> None:
    """E05, I02, I03: no sound card is there at all."""
    configure(machine, NO_MICROPHONE)
    took_s = start(machine)
    assert is_active(machine)
    assert "main absent" in machine.show(UNIT, "StatusText")
    machine.wait("said", lambda: bool(said(machine, "input main is absent")))
    assert said(machine, "input main is absent") == [4]  # a warning, as journald counts
    assert said(machine, "listens to microphone") == [6]
    print(f"ready without a microphone after {took_s:.1f} s")


def test_a_node_is_ready_when_sound_was_scored(machine: Machine) -> None:
    """E04."""
    configure(machine, RECORDING)
    took_s = start(machine)
    assert "main hearing" in machine.show(UNIT, "StatusText")
    assert took_s > 0.85, "a window is nearly a second long"
    print(f"ready with sound after {took_s:.1f} s")


def test_a_node_runs_with_no_more_rights_than_it_needs(machine: Machine) -> None:
    """It may do what the group audio may: the sound cards are that group's, and here a file."""
    configure(machine, RECORDING)
    machine.chroot("chown", "root:audio", f"/{STATE}/day.wav")
    (machine.root / STATE / "day.wav").chmod(0o640)
    start(machine)
    status = machine.run("cat", f"/proc/{machine.show(UNIT, 'MainPID')}/status").stdout
    found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    audio = machine.run("getent", "group", "audio").stdout.split(":")[2]
    assert found["Uid"].split()[0] == machine.run("id", "-u", "earpatch").stdout.strip() != "0"
    assert audio in found["Groups"].split()
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    exposure = machine.run("systemd-analyze", "security", "--no-pager", "--threshold=15", UNIT)
    assert exposure.returncode == 0, exposure.stdout
    print(exposure.stdout.splitlines()[-1])


def test_the_password_reaches_the_node_and_nobody_else(machine: Machine) -> None:
    """It is root's alone in /etc; systemd hands it over. Without one the node starts as well."""
    configure(machine, RECORDING, more='username = "pump-3"\n')
    password = machine.root / "etc/earpatch/earpatch.password"
    password.write_text("secret\n")
    password.chmod(0o600)
    try:
        start(machine)
        handed = f"/run/credentials/{UNIT}/mqtt-password"
        assert machine.run("cat", handed).stdout == "secret\n"
        assert machine.run("runuser", "-u", "nobody", "--", "cat", handed).returncode != 0
        assert not said(machine, "password")
    finally:
        password.unlink()
    start(machine)
    assert is_active(machine)


def test_a_bad_configuration_is_refused_at_reload_and_the_old_one_goes_on(machine: Machine) -> None:
    configure(machine, RECORDING)
    start(machine)
    pid = machine.show(UNIT, "MainPID")
    configure(machine, RECORDING, more="no_such_key = 1\n")
    assert machine.run("systemctl", "reload", UNIT).returncode != 0
    assert 3 in said(machine, "no_such_key")  # an error
    machine.run("systemctl", "kill", "--kill-whom=main", "--signal=HUP", UNIT)  # and without asking
    machine.wait("refused", lambda: bool(said(machine, "reload refused")))
    machine.wait("active", lambda: is_active(machine))
    assert said(machine, "reload refused") == [3]
    assert machine.show(UNIT, "MainPID") == pid
    machine.wait("hears", lambda: "main hearing" in machine.show(UNIT, "StatusText"))


def test_a_good_configuration_is_taken_up_at_reload_in_the_same_process(machine: Machine) -> None:
    configure(machine, RECORDING)
    start(machine)
    pid = machine.show(UNIT, "MainPID")
    configure(machine, RECORDING, node="pump-4")
    began = time.monotonic()
    assert machine.run("systemctl", "reload", UNIT).returncode == 0
    machine.wait("pump-4", lambda: bool(said(machine, "pump-4 listens to")))
    machine.wait("active again", lambda: is_active(machine))
    took_s = time.monotonic() - began
    assert machine.show(UNIT, "MainPID") == pid
    assert machine.show(UNIT, "NRestarts") == "0"
    print(f"reloaded after {took_s:.1f} s")


def has_fired(machine: Machine) -> bool:
    return "Watchdog timeout" in machine.run("journalctl", "--no-pager", "-u", UNIT).stdout


def test_a_node_whose_loop_hangs_is_killed_and_comes_back(machine: Machine) -> None:
    """E04, E10: its other threads go on, the loop's next system call never returns."""
    override = machine.root / f"etc/systemd/system/{UNIT}.d/quick.conf"
    override.parent.mkdir()
    override.write_text("[Service]\nWatchdogSec=5\n")  # 60 is long for a test
    try:
        machine.run("systemctl", "daemon-reload")
        configure(machine, RECORDING)
        start(machine)
        pid = machine.show(UNIT, "MainPID")
        hang = f"strace -qq -p {pid} -e trace=all -e inject=all:delay_enter=600s"
        tracer = machine.run("sh", "-c", f"{hang} >/dev/null 2>&1 & echo $!").stdout.strip()
        fired_s = machine.wait("the watchdog", lambda: has_fired(machine))
        machine.run("kill", "-9", tracer)  # what it holds could not even be killed
        machine.wait("restarted", lambda: machine.show(UNIT, "NRestarts") == "1")
        back_s = machine.wait("active again", lambda: is_active(machine))
        assert machine.show(UNIT, "MainPID") not in {pid, "0"}
        print(f"hung: the watchdog fired after {fired_s:.1f} s, ready again {back_s:.1f} s later")
    finally:
        shutil.rmtree(override.parent)
        machine.run("systemctl", "daemon-reload")


def test_a_node_that_is_stopped_ends_cleanly(machine: Machine) -> None:
    """SIGTERM; no broker is there, so that events may wait (3)."""
    configure(machine, RECORDING)
    start(machine)
    began = time.monotonic()
    assert machine.run("systemctl", "stop", UNIT).returncode == 0
    assert machine.show(UNIT, "Result") == "success"
    assert machine.show(UNIT, "ExecMainCode") == "1"  # it exited, nobody killed it
    assert machine.show(UNIT, "ExecMainStatus") in {"0", "3"}
    print(f"stopped in {time.monotonic() - began:.1f} s")


def test_two_nodes_on_one_computer_keep_apart(machine: Machine) -> None:
    """`earpatch@NAME` has its own configuration and its own state."""
    configure(machine, NO_MICROPHONE)
    text = (machine.root / CONFIG).read_text()
    for name in ("east", "west"):
        own = text.replace('"pump-3"', f'"{name}"\nstate_dir = "/{STATE}/{name}"')
        (machine.root / f"etc/earpatch/{name}.toml").write_text(own)
    units = ["earpatch@east.service", "earpatch@west.service"]
    done = machine.run("systemctl", "start", *units)
    assert done.returncode == 0, done.stderr
    for name in ("east", "west"):
        assert machine.show(f"earpatch@{name}.service", "ActiveState") == "active"
        assert (machine.root / STATE / name / "outbox.sqlite").exists()
    machine.run("systemctl", "stop", *units)


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


def test_an_upgrade_keeps_configuration_calibration_and_outbox(machine: Machine) -> None:
    configure(machine, NO_MICROPHONE)
    start(machine)
    machine.run("systemctl", "stop", UNIT)
    folders = [machine.root / STATE, machine.root / "etc/earpatch"]
    before = [digests(folder) for folder in folders]
    assert "outbox.sqlite" in before[0]
    constraints = machine.root / "usr/lib/earpatch/constraints.txt"
    constraints.write_text(constraints.read_text() + "# of another version\n")
    (machine.root / "opt/earpatch/current/contents").write_text("another version\n")
    used = (machine.root / "opt/earpatch/current").readlink()
    done = machine.make("install")
    assert done.returncode == 0, done.stderr
    assert [digests(folder) for folder in folders] == before
    assert (machine.root / "opt/earpatch/current").readlink() != used
    assert sorted(path.name for path in (machine.root / "opt/earpatch").glob("[ab]")) != ["a", "b"]
    again = machine.make("install")
    assert "up to date" in again.stdout
    start(machine)
    assert is_active(machine)
