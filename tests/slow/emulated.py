"""A Debian for another processor, run under QEMU's user emulation: root and a network are needed.

Nothing stays mounted, whatever happens: each command has mounts and processes of its own, which
end with it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.slow.machine import AUTHORITIES, PROJECT

if TYPE_CHECKING:
    from collections.abc import Iterator

CACHE = PROJECT / ".arm64"  # kept; `rm -rf` it to begin anew
PROGRAMS = ("mmdebstrap", "arch-test", "unshare", "qemu-aarch64-static")
# What the package depends on: the system's own package manager is much faster than an emulated one.
PACKAGES = "systemd,passwd,ca-certificates,python3,python3-venv,python3-dev,gcc,portaudio19-dev"
BINFMT = Path("/proc/sys/fs/binfmt_misc")
DEBIANS_RULES = Path("/usr/lib/binfmt.d")
MAKE_ROOT_S, DOWNLOAD_S = 1_200.0, 600.0
EXTRAS, LATE = "/opt/extras", "/opt/late"
PYTHON, TAGS = "3.11", ("manylinux_2_28", "manylinux_2_27", "manylinux_2_26", "manylinux_2_17",
                        "manylinux2014")  # fmt: skip
CORES = 4
# Ends with whatever started it.
ALONE = ("setpriv", "--pdeathsig=KILL",
         "unshare", "--mount", "--pid", "--fork", "--kill-child")  # fmt: skip
IN_THE_ROOT = """set -e
root=$1 cpuinfo=$2 folder=$3
shift 3
mount -t proc proc "$root/proc"
mount --bind "$cpuinfo" "$root/proc/cpuinfo"
mount -t tmpfs tmpfs "$root/dev/shm"
exec chroot "$root" sh -c 'cd "$0" && exec "$@"' "$folder" "$@"
"""
Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Processor:
    """One that QEMU imitates, with what a board's kernel writes about it into /proc/cpuinfo.

    XNNPACK and OpenBLAS choose their kernels by what they read there and in the hardware bits.
    """

    name: str  # QEMU's
    boards: str
    implementer: int
    part: int
    features: str

    @property
    def cpuinfo(self) -> str:
        """As a kernel for arm64 writes it."""
        return "".join(
            f"processor\t: {core}\nBogoMIPS\t: 108.00\nFeatures\t: {self.features}\n"
            f"CPU implementer\t: 0x{self.implementer:02x}\nCPU architecture: 8\n"
            f"CPU variant\t: 0x0\nCPU part\t: 0x{self.part:03x}\nCPU revision\t: 3\n\n"
            for core in range(CORES)
        )


_V8 = "fp asimd evtstrm crc32 cpuid"
_V82 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop"
PROCESSORS = (
    Processor("cortex-a53", "Raspberry Pi 3, Zero 2 W", 0x41, 0xD03, _V8),
    Processor("cortex-a72", "Raspberry Pi 4", 0x41, 0xD08, _V8),
    Processor("cortex-a76", "Raspberry Pi 5", 0x41, 0xD0B, f"{_V82} asimddp"),
    # No board of ours: what newer ones may bring. SVE makes QEMU several times slower.
    Processor("max,sve=off", "all else that QEMU knows", 0x00, 0x051, f"{_V82} asimddp i8mm bf16"),
)


def why_not() -> str | None:
    """Why nothing can be emulated here."""
    if os.geteuid() != 0:
        return "only root can enter another system"
    for program in PROGRAMS:
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return None


@contextmanager
def interpreter() -> Iterator[None]:
    """The kernel runs arm64's programs with QEMU; if it didn't before, it doesn't afterwards."""
    rule = "qemu-aarch64"
    mounted = (BINFMT / "register").exists()
    if not mounted:
        subprocess.run(["mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT], check=True)
    registered = (BINFMT / rule).exists()
    try:
        if not registered:
            text = (DEBIANS_RULES / f"{rule}.conf").read_text().strip()
            (BINFMT / "register").write_text(text)
        yield
    finally:
        if not registered:
            (BINFMT / rule).write_text("-1")
        if not mounted:
            subprocess.run(["umount", BINFMT], check=True)


class Emulated:
    """That Debian; made once, and kept with what was installed."""

    def __init__(self) -> None:
        self.root = CACHE / "bookworm"
        if not (self.root / "etc").is_dir():
            _make_root(self.root)
        shutil.copy("/etc/resolv.conf", self.root / "etc/resolv.conf")
        shutil.copy(AUTHORITIES, self.root / AUTHORITIES.relative_to("/"))
        cpus = self.root / "sys/devices/system/cpu"
        cpus.mkdir(parents=True, exist_ok=True)
        for name in ("present", "possible", "online"):  # litert takes no XNNPACK without
            (cpus / name).write_text(f"0-{CORES - 1}\n")

    def run(
        self,
        *command: str,
        within_s: float,
        processor: Processor = PROCESSORS[0],
        folder: str = "/root",
        extras: bool = False,
    ) -> Done:
        """Run a command in it.

        Args:
            command: what to run.
            within_s: after which it is killed, with all that it started.
            processor: that it believes to run on.
            folder: where.
            extras: with packages that no node has.

        Raises:
            subprocess.TimeoutExpired: it was killed.
        """
        told = CACHE / f"{processor.name}.cpuinfo"
        told.write_text(processor.cpuinfo)
        environment = {**os.environ, "LC_ALL": "C", "HOME": "/root", "QEMU_CPU": processor.name}
        environment |= {"PIP_CERT": str(AUTHORITIES), "OPENBLAS_NUM_THREADS": "1"}
        for name in ("PYTHONPATH", "PIP_FIND_LINKS"):  # places of this system
            environment.pop(name, None)
        if extras:
            environment["PYTHONPATH"] = f"{folder}:{LATE}"
        entered = ["sh", "-c", IN_THE_ROOT, "in-the-root", str(self.root), str(told), folder]
        return subprocess.run(
            [*ALONE, *entered, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=within_s, check=False, env=environment,
        )  # fmt: skip

    def put_extras(self, *requirements: str) -> None:
        """Wheels for it, unpacked here; what was installed in it comes before them."""
        wanted = "\n".join(requirements) + (PROJECT / "constraints.txt").read_text()
        folder, stamp = self.root / EXTRAS[1:], CACHE / "extras.txt"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        shutil.rmtree(folder, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(folder)]
        command += ["--only-binary=:all:", "--implementation=cp", f"--python-version={PYTHON}"]
        command += [f"--platform={tag}_aarch64" for tag in TAGS]
        command += ["--constraint", str(PROJECT / "constraints.txt"), *requirements]
        subprocess.run(command, timeout=DOWNLOAD_S, check=True)
        late = self.root / LATE[1:]
        late.mkdir(parents=True, exist_ok=True)
        (late / "sitecustomize.py").write_text(f"import sys\nsys.path.append({EXTRAS!r})\n")
        stamp.write_text(wanted)


def _make_root(root: Path) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    unfinished = root.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [*ALONE, "--mount-proc", "mmdebstrap", "--quiet", "--arch=arm64", "--variant=minbase"]
    command += [f"--include={PACKAGES}", "bookworm", str(unfinished)]
    subprocess.run(command, timeout=MAKE_ROOT_S, check=True)
    unfinished.rename(root)
