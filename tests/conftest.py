"""Parts that many tests share: simulated sound, a bundle learnt from it, and a real broker."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import soundfile

from calibration.backbones import builtin_backbone
from calibration.learn import learn
from calibration.simulator import RATE_HZ, Box, Fault, Machine
from calibration.survey import survey
from edge.bundle import Bundle, open_bundle
from tests.edge.sparkplug.summary import assertions_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from edge.runtime import RuntimeName

SHARED = Path(__file__).resolve().parents[2] / "shared"
MACHINE = Machine(7)
# tflite-runtime exists up to Python 3.11; ai-edge-litert comes with the extra `litert` there.
_RUNTIME_PACKAGES: dict[RuntimeName, str] = {
    "tflite-runtime": "tflite_runtime",
    "litert": "ai_edge_litert",
}
INSTALLED_RUNTIMES = [name for name, package in _RUNTIME_PACKAGES.items() if find_spec(package)]
FAULTS = (
    Fault("leak hiss", 4.0, 2.0, level_db=15.0),
    Fault("cavitation", 10.0, 2.0, level_db=15.0),
)
DAY_S = 16.0
BROKER_START_S = 10.0


@dataclass(frozen=True)
class Site:
    """A simulated site: normal recordings, a bundle learnt from them, a day with faults."""

    folder: Path
    normal: Path
    bundle_path: Path
    day: Path
    truth: list[Box]
    sound: NDArray[np.float32]  # the day's samples, as the recording holds them

    def open(self) -> Bundle:
        """The bundle, loaded anew."""
        return open_bundle(self.bundle_path)

    def copy_bundle(self, target: Path) -> Path:
        """A copy that a test may damage."""
        shutil.copytree(self.bundle_path, target, symlinks=True)
        return target


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """120 s of normal sound learnt with the built-in backbone, and 16 s with two faults."""
    folder = tmp_path_factory.mktemp("site")
    normal = folder / "normal"
    normal.mkdir()
    for take in range(6):
        soundfile.write(normal / f"{take}.wav", MACHINE.normal(20.0, take), RATE_HZ)
    learn(folder / "bundle", builtin_backbone(), survey(normal))
    sound, truth = MACHINE.with_faults(DAY_S, 9, FAULTS)
    soundfile.write(folder / "day.wav", sound, RATE_HZ)
    stored, _ = soundfile.read(folder / "day.wav", dtype="float32")
    return Site(folder, normal, folder / "bundle", folder / "day.wav", truth, stored)


@dataclass(frozen=True)
class Broker:
    """A mosquitto of our own."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"mqtt://127.0.0.1:{self.port}"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A real mosquitto on a free loopback port, with persistence off."""
    with run_mosquitto(tmp_path, free_port()) as running:
        yield running


@contextmanager
def run_mosquitto(folder: Path, port: int, *lines: str) -> Iterator[Broker]:
    """Start mosquitto with further configuration lines; end it by its own id."""
    program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        pytest.skip("mosquitto is not installed")
    configuration = folder / f"mosquitto-{port}.conf"
    listener = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence false"]
    listener.append("user root")  # as root it would become another user, who can't read `folder`
    configuration.write_text("\n".join([*listener, *lines]) + "\n")
    process = subprocess.Popen([program, "-c", configuration], stderr=subprocess.DEVNULL)
    try:
        _wait_for_port(port, process)
        yield Broker(port, process)
    finally:
        process.kill()
        process.wait(timeout=5)


def free_port() -> int:
    """A loopback port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + BROKER_START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "mosquitto ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail("mosquitto did not listen in time")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real recordings and pretrained weights, which are not part of the project."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real recordings in {SHARED}")
    return SHARED


def pytest_configure() -> None:
    """Hear Ctrl-C: a background job of a shell ignores it, and so would what a test starts."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many of Sparkplug's assertions hold, if they were tested."""
    if text := assertions_line(terminalreporter.stats):
        terminalreporter.write_line(text)
