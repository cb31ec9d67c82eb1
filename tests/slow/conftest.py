"""Parts that the slow tests share."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.slow.disk import Disk
from tests.slow.emulator import Emulator, add_agent, base, make_disk
from tests.slow.machine import Machine
from tests.slow.plant import Plant, keep_events, put_bundles
from tests.slow.site import RECORDING, configure, put_state

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Site

IN_MEMORY = Path("/dev/shm")  # noqa: S108  (a file system in memory, on every Linux)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """Where a million small files are written and synced without waiting for a disk."""
    if not IN_MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(dir=IN_MEMORY, prefix="earpatch-") as folder:
        yield Path(folder)


@pytest.fixture
def nobody_reads() -> Iterator[None]:
    """A million lines of the log."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="session")
def plant(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Iterator[Plant]:
    """A machine into which `make install` was run, as a disk."""
    folder = tmp_path_factory.mktemp("power")
    machine = Machine(folder / "root", base())
    done = machine.make("install")
    assert done.returncode == 0, done.stderr
    put_state(machine, site)
    ids = put_bundles(machine, site, folder)
    keep_events(machine)
    configure(machine, RECORDING)
    add_agent(machine)
    disk = Disk(make_disk(machine, folder), folder / "disk.sock")
    computer = Emulator(folder, disk)
    try:
        yield Plant(computer, disk, ids)
    finally:
        computer.off()
        disk.close()
        (folder / "disk").unlink()
