"""Runs inside the emulated machine: does what the test asks for, over a port of its own.

    {"run": [...]}         a program, as root
    {"earpatch": [...]}    a command of earpatch, as the node's user; each thing that it does to the
                           bundle's folder is told before it is done, and waits for a "go"
    {"look": true}          once the node is ready: what is on the disk, not by earpatch's code

A line of JSON each way. No part of earpatch knows that it is watched: Python's audit hook tells.
Nothing but the standard library is loaded for the rest, since an emulated processor is slow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import sqlite3
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

PORT, USER, UNIT = "vport*p*", "earpatch", "earpatch.service"
STATE = Path("/var/lib/earpatch")
BUNDLE, OUTBOX = STATE / "bundle", STATE / "outbox.sqlite"
FILES = ("backbone.tflite", "bank.tflite", "golden.bin", "manifest.json")
RUN_S = 600.0
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Watch:
    """Tells what is about to be done to the bundle's folder."""

    def __init__(self, port: BinaryIO, bundle: Path) -> None:
        self._port, self._inside = port, f"{bundle}/"

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Python's own audit hook."""
        if event == "open":
            path, _, flags = arguments
            if flags & WRITING and not flags & os.O_DIRECTORY:  # without that bit: has a name
                self._tell("write", path)
        elif event in {"os.rename", "os.symlink"}:
            self._tell(event[3:], arguments[1])
        elif event in {"os.mkdir", "os.remove", "os.rmdir"}:
            self._tell(event[3:], arguments[0])

    def _tell(self, what: str, path: object) -> None:
        if not isinstance(path, (str, bytes, os.PathLike)):
            return
        text = os.fsdecode(path)
        if not text.startswith(self._inside):
            return
        say(self._port, {"step": f"{what} {text.removeprefix(self._inside)}"})
        self._port.readline()


def say(port: BinaryIO, message: dict[str, Any]) -> None:
    """Return once the emulator has it."""
    port.write(json.dumps(message).encode() + b"\n")


def earpatch(port: BinaryIO, arguments: list[str]) -> dict[str, Any]:
    """A command of earpatch in a process of its own."""
    with tempfile.TemporaryFile() as output:
        pid = os.fork()
        if pid == 0:
            _be_command(port, arguments, output.fileno())
        _, status = os.waitpid(pid, 0)
        output.seek(0)
        return {"code": os.waitstatus_to_exitcode(status), "out": output.read().decode()}


def _be_command(port: BinaryIO, arguments: list[str], output: int) -> NoReturn:
    os.dup2(output, 1)
    os.dup2(output, 2)
    user = pwd.getpwnam(USER)
    os.initgroups(USER, user.pw_gid)
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    os.umask(0o027)
    os.environ["HOME"] = user.pw_dir
    from convert.main import main as command  # noqa: PLC0415

    sys.addaudithook(Watch(port, BUNDLE))
    code = 1
    try:
        code = command(arguments)
    except BaseException:  # noqa: BLE001  (nothing may return into the parent's loop)
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def run(arguments: list[str]) -> dict[str, Any]:
    """A program."""
    try:
        done = subprocess.run(
            arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=RUN_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"code": -1, "out": str(error)}
    return {"code": done.returncode, "out": done.stdout}


def look() -> dict[str, Any]:
    """Wait for the node; then the versions of its bundle, and its outbox."""
    started = run(["systemctl", "start", UNIT])  # waits for the start that is under way
    if started["code"]:
        return {"ready": False, **run(["journalctl", "-b", "-n", "40", "-u", UNIT])}
    folders = sorted(BUNDLE.glob("versions/[!.]*"))  # not what an unfinished write left
    history = json.loads((BUNDLE / "history.json").read_bytes())
    return {
        "ready": True,
        "restarts": int(run(["systemctl", "show", "--value", "-p", "NRestarts", UNIT])["out"]),
        "current": (BUNDLE / "current").readlink().name,
        "versions": {folder.name: _fault(folder) for folder in folders},
        "links": [name for name in FILES if (BUNDLE / name).is_file()],
        "history": history["order"],
        "failed": history["failed"],
        **_outbox(),
    }


def _fault(folder: Path) -> str:
    """What is wrong with a version; nothing if its files are those of its manifest."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        for name in FILES[:-1]:
            expected = manifest["files"][name]["sha256"]
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != expected:
                return f"{name} is not what was written"
    except (OSError, ValueError, KeyError) as error:
        return repr(error)
    return ""


def _outbox() -> dict[str, Any]:
    """Whether it is whole, how many events wait, the last one's number; damaged ones put aside."""
    with contextlib.closing(sqlite3.connect(f"file:{OUTBOX}?mode=ro", uri=True)) as database:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        counted = "SELECT count(*), coalesce(max(sequence), 0) FROM events"
        events = database.execute(counted).fetchone()
    aside = [path.name for path in STATE.glob("outbox.corrupt*")]
    return {"outbox": verdict, "events": events, "aside": aside}


def answer(port: BinaryIO, asked: dict[str, Any]) -> dict[str, Any]:
    """Do it."""
    if "earpatch" in asked:
        return earpatch(port, asked["earpatch"])
    return look() if "look" in asked else run(asked["run"])


def main() -> None:
    """Until the power goes."""
    (place,) = Path("/dev").glob(PORT)  # its name without udev
    with place.open("r+b", buffering=0) as port:
        say(port, {"up": True})
        for line in iter(port.readline, b""):
            try:
                said = answer(port, json.loads(line))
            except Exception:  # noqa: BLE001  (the test says what went wrong)
                said = {"ready": False, "code": -1, "out": traceback.format_exc()}
            say(port, said)


if __name__ == "__main__":
    main()
