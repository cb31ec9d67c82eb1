"""A whole computer, emulated: kernel, journalling file system, and a power plug to pull.

Its disk is `tests.slow.disk`. KVM is used where there is one, an emulated processor elsewhere.
"""

from __future__ import annotations

import json
import select
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.slow.machine import Machine, base_system, why_not
from tests.slow.site import UNIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.slow.disk import Disk

EMULATOR = "qemu-system-x86_64"
MORE_PACKAGES = "linux-image-amd64,initramfs-tools,kmod,udev,e2fsprogs,logsave,alsa-utils"
# The initial RAM disk checks the file system, and is small: it is loaded each time.
ROOT_DISK = "/dev/vda / ext4 errors=remount-ro 0 1"
MODULES = "virtio_pci virtio_blk ext4 crc32c_generic crc32c_intel virtio_console virtio_rng"
AGENT = Path(__file__).with_name("guest.py")
AGENT_UNIT = """
[Service]
Environment=OPENBLAS_NUM_THREADS=1 LC_ALL=C
ExecStart=/opt/earpatch/current/bin/python /usr/local/lib/agent.py
[Install]
WantedBy=multi-user.target
"""
# They take half of the time that an emulated processor boots in; the disk and the port are there
# before them.
UNNEEDED = (
    "systemd-udev-trigger.service serial-getty@ttyS0.service getty@tty1.service dbus.service "
    "dbus.socket systemd-logind.service systemd-user-sessions.service e2scrub_reap.service "
    "systemd-update-utmp.service systemd-update-utmp-runlevel.service apt-daily.timer "
    "apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer "
    "alsa-restore.service"
)
# An emulated processor is twenty times slower than those that the unit is written for: the node
# can't keep up with its sound, and would leave half of the processor to everything else.
PATIENCE = "[Service]\nTimeoutStartSec=20min\nWatchdogSec=10min\nNice=15\n"
DISK_SIZE, MEMORY_MIB = "4G", 1024
BOOT_S, ANSWER_S, OFF_S, IMAGE_S, START_S = 600.0, 900.0, 30.0, 600.0, 20.0
TCG, KVM, KVM_S = "tcg,tb-size=512", "kvm", 15.0
KERNEL_LINE = "root=/dev/vda ro console=ttyS0 loglevel=5 panic=1"


def why_no_emulator() -> str | None:
    """Why no machine can be emulated here."""
    for program in (EMULATOR, "mke2fs", "e2fsck"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return why_not()


def base() -> Path:
    """A Debian with a kernel."""
    commands = [
        f"echo '{ROOT_DISK}' >$1/etc/fstab",
        "printf 'MODULES=list\\nFSTYPE=ext4\\n' >$1/etc/initramfs-tools/conf.d/small",
        f"printf '%s\\n' {MODULES} >>$1/etc/initramfs-tools/modules",
        "chroot $1 update-initramfs -u",
    ]
    options = [f"--customize-hook={'; '.join(commands)}"]
    return base_system("bookworm-kernel", more=MORE_PACKAGES, options=options)


def add_agent(machine: Machine) -> None:
    """What does there as it is told, and the services that are wanted at boot."""
    shutil.copy(AGENT, machine.root / "usr/local/lib/agent.py")
    (machine.root / "etc/systemd/system/agent.service").write_text(AGENT_UNIT)
    patience = machine.root / f"etc/systemd/system/{UNIT}.d/patience.conf"
    patience.parent.mkdir()
    patience.write_text(PATIENCE)
    for action, units in (("enable", ["agent.service", UNIT]), ("mask", UNNEEDED.split())):
        done = machine.chroot("systemctl", action, *units)
        assert done.returncode == 0, done.stderr


def make_disk(machine: Machine, folder: Path) -> Path:
    """An ext4 disk with all of that root, and its kernel beside it; the root is used up."""
    image = folder / "disk"
    for name in ("vmlinuz", "initrd.img"):
        (found,) = (machine.root / "boot").glob(f"{name}-*[0-9a-z]")
        shutil.copy(found, folder / name)
    command = ["mke2fs", "-q", "-t", "ext4", "-d", str(machine.root), str(image), DISK_SIZE]
    subprocess.run(command, timeout=IMAGE_S, check=True)
    shutil.rmtree(machine.root)
    return image


def check_disk(image: Path) -> subprocess.CompletedProcess[str]:
    """The file system, looked at from outside; nothing is repaired."""
    command = ["e2fsck", "-f", "-n", str(image)]
    return subprocess.run(command, capture_output=True, text=True, timeout=IMAGE_S, check=False)


def accelerator(folder: Path) -> str:
    """KVM where a kernel really starts with it: in a virtual machine it may be there and hang."""
    if not Path("/dev/kvm").exists():
        return TCG
    console = folder / "console-kvm.log"
    command = [*_machine(folder, KVM, "console=ttyS0"), "-serial", f"file:{console}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + KVM_S
    try:
        while process.poll() is None and time.monotonic() < deadline:
            if console.exists() and b"Linux version" in console.read_bytes():
                return KVM
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait(timeout=OFF_S)
    return TCG


def _machine(folder: Path, accelerator: str, kernel_line: str) -> list[str]:
    return [
        EMULATOR, "-accel", accelerator, "-cpu", "Nehalem", "-m", str(MEMORY_MIB),
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-kernel", str(folder / "vmlinuz"), "-initrd", str(folder / "initrd.img"),
        "-append", kernel_line,
    ]  # fmt: skip


class Emulator:
    """A computer that is off, or on.

    Args:
        folder: with `vmlinuz` and `initrd.img`; the consoles' logs are kept there.
        disk: what it boots from.
    """

    def __init__(self, folder: Path, disk: Disk) -> None:
        self._folder, self._disk = folder, disk
        self._words = folder / "words"
        self.accelerator = accelerator(folder)
        self._process: subprocess.Popen[bytes] | None = None
        self._socket = socket.socket()
        self._heard = b""
        self.boots = 0

    @property
    def console(self) -> Path:
        """What the kernel and systemd say in this boot."""
        return self._folder / f"console-{self.boots}.log"

    def on(self) -> None:
        """Switch it on, until it listens."""
        self.boots += 1
        self._words.unlink(missing_ok=True)
        with (self._folder / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL, stderr=log)
        self._heard = b""
        self._connect()
        assert self.next(BOOT_S) == {"up": True}

    def off(self) -> None:
        """Pull the plug, where it is in."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(timeout=OFF_S)
        self._process = None
        self._socket.close()

    def shut_down(self) -> None:
        """As a person would, who has the time."""
        assert self._process is not None, "it is off"
        self.send({"run": ["systemctl", "poweroff"]})
        self._process.wait(timeout=ANSWER_S)
        self.off()

    def send(self, message: dict[str, Any]) -> None:
        """Say something to it."""
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def hear(self, within_s: float) -> dict[str, Any] | None:
        """The next thing that it says, if it says something in time."""
        deadline = time.monotonic() + within_s
        while b"\n" not in self._heard:
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._socket], [], [], left_s)[0]:
                return None
            if not (data := self._socket.recv(65_536)):
                pytest.fail(f"the emulator has ended; see {self.console}")
            self._heard += data
        line, self._heard = self._heard.split(b"\n", 1)
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def next(self, within_s: float = ANSWER_S) -> dict[str, Any]:
        """The same, for what has to be said."""
        said = self.hear(within_s)
        if said is None:
            pytest.fail(f"it said nothing within {within_s:g} s; see {self.console}")
        return said

    def run(self, *command: str) -> tuple[int, str]:
        """A program in it, as root: exit code and output."""
        self.send({"run": command})
        done = self.next()
        return done["code"], done["out"]

    def steps(self, *command: str) -> Iterator[dict[str, Any]]:
        """A command of earpatch: what it does to the bundle, at last its exit code."""
        self.send({"earpatch": command})
        while True:
            said = self.next()
            yield said
            if "code" in said:
                return
            self.go()

    def go(self) -> None:
        """What has told its next step may take it."""
        self._socket.sendall(b"go\n")

    def _command(self) -> list[str]:
        return [
            *_machine(self._folder, self.accelerator, KERNEL_LINE),
            "-serial", f"file:{self.console}", "-device", "virtio-rng-pci",
            "-drive", f"file=nbd+unix:///?socket={self._disk.address},format=raw,if=virtio",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=words,name=earpatch",
            "-chardev", f"socket,id=words,path={self._words},server=on,wait=on",
        ]  # fmt: skip

    def _connect(self) -> None:
        deadline = time.monotonic() + START_S
        while True:
            self._socket = socket.socket(socket.AF_UNIX)
            try:
                self._socket.connect(str(self._words))
            except OSError:
                assert self._process is not None
                assert self._process.poll() is None, "the emulator ended at once"
                assert time.monotonic() < deadline, "the emulator doesn't listen"
                self._socket.close()
                time.sleep(0.02)
            else:
                return
