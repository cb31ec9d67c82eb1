"""What to do about the ways in which compiled packages are known to fail."""

from __future__ import annotations

import re
import signal

NUMPY_1 = "/opt/earpatch/bin/pip install 'numpy>=1.24,<2': the runtime is made for numpy 1"
# Texts as they were seen; the first that fits counts.
_REMEDIES = (
    (re.compile(r"static TLS block"), "start it with LD_PRELOAD set to the library that is named"),
    (re.compile(r"numpy\.core\.multiarray|_ARRAY_API|NumPy 1|compiled against API|API version"),
     NUMPY_1),
    (re.compile(r"libportaudio"), "sudo apt install libportaudio2"),
    (re.compile(r"libsndfile"), "sudo apt install libsndfile1"),
    (re.compile(r"page-aligned|load command|ELF"),
     "wheels of another architecture or page size: install earpatch anew"),
    (re.compile(r"GLIBC"), "the system is older than the wheels: install earpatch anew on it"),
    (re.compile(r"No module named|not installed|can't be loaded"), "install earpatch anew"),
    (re.compile(r"[Mm]emory"), "free memory, or use a computer with more of it"),
)  # fmt: skip
_SIGNALS = {
    signal.SIGILL: "the processor lacks an instruction that it was compiled with: use a Raspberry "
    "Pi Zero 2, 3 or newer, with the 64-bit system",
    signal.SIGSEGV: "it crashed: install earpatch anew; on a Pi 5, see the page size",
    signal.SIGBUS: "it crashed: check the disk, and install earpatch anew",
    signal.SIGKILL: "killed from outside, most likely for memory: see dmesg",
}


def remedy(text: str, number: int | None = None) -> str:
    """What to do.

    Args:
        text: the error, or the last words.
        number: of the signal that killed the process, if one did.
    """
    if number is not None:
        known = {int(each): what for each, what in _SIGNALS.items()}
        return known.get(number, "install earpatch anew")
    found = next((what for pattern, what in _REMEDIES if pattern.search(text)), None)
    return found or "install earpatch anew, and see its log"
