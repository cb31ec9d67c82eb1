"""Who holds a microphone that is busy. A held device is invisible to PortAudio, too."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge.capture.cards import first_capture_device, read_kernel_file
from edge.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.capture.cards import Card

# sound/core/pcm.c prints the thread that opened the device.
_OWNER = re.compile(r"^owner_pid\s*:\s*(\d+)$", re.MULTILINE)


def holder(card: Card, device: int | None = None, root: Path = Path("/")) -> str | None:
    """The process that captures from a device, such as "pulseaudio (process 812)", or None.

    Args:
        card: the card.
        device: which of its devices; the first that captures unless told.
        root: folder that holds `proc`.
    """
    number = first_capture_device(card) if device is None else device
    for status in _substreams(root / f"proc/asound/card{card.index}/pcm{number}c"):
        if found := _OWNER.search(status):
            return _process(int(found[1]), root)
    return None


def _substreams(folder: Path) -> Iterator[str]:
    """The status of each: "closed", or its state and owner."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.name.startswith("sub"))
    except OSError:
        return
    for name in names:
        yield read_kernel_file(folder / name / "status") or ""


def _process(thread_id: int, root: Path) -> str:
    if thread_id == 0:
        return "a process outside this container"
    thread = read_kernel_file(root / f"proc/{thread_id}/status")
    process_id = _field("Tgid", thread) or str(thread_id)
    status = read_kernel_file(root / f"proc/{process_id}/status")
    name, state = _field("Name", status), _field("State", status)
    notes = [f"process {process_id}"]
    if process_id == str(os.getpid()):
        notes.append("this one")
    if state.startswith("T"):
        notes.append("stopped: it holds on until it is resumed or ended")
    return f"{name} ({', '.join(notes)})" if name else " ".join(notes)


def _field(name: str, status: str | None) -> str:
    found = re.search(rf"^{name}:[ \t]*(.*)$", status or "", re.MULTILINE)
    return printable(found[1]) if found else ""
