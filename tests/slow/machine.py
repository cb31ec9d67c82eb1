"""A Debian of our own that boots its real systemd in a container: root and a network are needed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PROJECT = Path(__file__).resolve().parents[2]
BASES = PROJECT / "build" / "boot"  # made once, never booted, never changed
PACKAGES = (
    "systemd,systemd-sysv,dbus,procps,strace,ca-certificates,make,"
    "python3,python3-venv,python3-dev,gcc,portaudio19-dev"
)
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MAKE_ROOT_S, INSTALL_S, BOOT_S, COMMAND_S = 900.0, 900.0, 60.0, 120.0
Done = subprocess.CompletedProcess[str]


def why_not() -> str | None:
    """Why no machine can be booted here."""
    if os.geteuid() != 0:
        return "only root can boot a container"
    for program in ("mmdebstrap", "systemd-nspawn", "nsenter"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


def base_system(name: str = "bookworm", *, more: str = "", options: Sequence[str] = ()) -> Path:
    """A minimal Debian, kept for the next time.

    Args:
        name: of its folder.
        more: packages beside `PACKAGES`, with commas between.
        options: of mmdebstrap.
    """
    base = BASES / name
    if not (base / "etc").is_dir():
        base.parent.mkdir(parents=True, exist_ok=True)
        unfinished = base.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        command = ["mmdebstrap", "--quiet", "--variant=minbase", *options]
        command += [f"--include={PACKAGES}", *([f"--include={more}"] if more else [])]
        subprocess.run([*command, "bookworm", unfinished], timeout=MAKE_ROOT_S, check=True)
        unfinished.rename(base)
    return base


class Machine:
    """A copy of that Debian, installed into, booted, and looked at from outside."""

    def __init__(self, root: Path, base: Path | None = None) -> None:
        self.root = root
        base = base or base_system()
        subprocess.run(["cp", "-a", "--reflink=auto", f"{base}/.", root], check=True)
        shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
        shutil.copy(AUTHORITIES, root / AUTHORITIES.relative_to("/"))  # a site may have its own
        self._leader = 0

    def make(self, *arguments: str) -> Done:
        """Run make here, for this system."""
        command = ["make", "-C", str(PROJECT), *arguments, f"ROOT={self.root}"]
        return _run(command, INSTALL_S)

    def chroot(self, *command: str) -> Done:
        """Run a command in it, booted or not, without its systemd."""
        return _run(["chroot", str(self.root), *command], INSTALL_S)

    def run(self, *command: str, within_s: float = COMMAND_S) -> Done:
        """Run a command in the booted system."""
        assert self._leader, "not booted"
        return _run(["nsenter", "-t", str(self._leader), "-a", "--", *command], within_s)

    def show(self, unit: str, key: str) -> str:
        """A property of a unit."""
        return self.run("systemctl", "show", "--value", "-p", key, unit).stdout.strip()

    def journal(self, unit: str) -> list[tuple[int, str]]:
        """Priority and text of what a unit's own processes have said."""
        done = self.run("journalctl", "-o", "json", "--no-pager", f"_SYSTEMD_UNIT={unit}")
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        return [(int(entry["PRIORITY"]), str(entry["MESSAGE"])) for entry in entries]

    def wait(self, what: str, condition: Callable[[], bool], within_s: float = COMMAND_S) -> float:
        """Until something is so; returns how long that took, in seconds."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > within_s:
                units = self.run("systemctl", "status", "--no-pager", "earpatch*").stdout
                pytest.fail(f"not within {within_s:g} s: {what}\n{units}")
            time.sleep(0.1)
        return time.monotonic() - began

    @contextmanager
    def booted(self) -> Iterator[Machine]:
        """Boot it; it is switched off at the end."""
        command = ["systemd-nspawn", "-q", "-D", str(self.root), "--register=no", "--keep-unit"]
        command += ["--private-network", "--link-journal=no", "--console=pipe", "-b"]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._leader = _child(process)
            self.wait("booted", self._is_up, BOOT_S)
            yield self
        finally:
            if self._leader:
                _kill(self._leader)
            self._leader = 0
            process.wait(timeout=BOOT_S)

    def _is_up(self) -> bool:
        state = self.run("systemctl", "is-system-running").stdout.strip()
        return state in {"running", "degraded"}


def _run(command: list[str], timeout_s: float) -> Done:
    """In the language of the tests."""
    environment = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=timeout_s, check=False, env=environment
    )


def _child(process: subprocess.Popen[bytes]) -> int:
    """The container's first process; before it there is one of nspawn's own."""
    deadline = time.monotonic() + BOOT_S
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while time.monotonic() < deadline:
        assert process.poll() is None, "the container ended at once"
        for pid in children.read_text().split():
            with suppress(OSError):  # it is gone already
                if Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                    return int(pid)
        time.sleep(0.02)
    pytest.fail("the container has no first process")


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):  # it is gone already
        os.kill(pid, signal.SIGKILL)
