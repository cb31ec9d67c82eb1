"""The node as a service: when it is ready, what keeps its watchdog quiet, and SIGHUP."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
import soundfile

from calibration.simulator import RATE_HZ
from edge import health
from edge.capture.source import RecordingPlayer
from edge.desk import AlarmDesk
from edge.errors import DeliveryError
from edge.node import run_node
from edge.settings import load_settings
from tests.conftest import MACHINE, Site
from tests.edge.notified import DEADLINE_S, Manager

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.capture.sound import Block, Outage

COMMAND = [sys.executable, "-m", "convert.main", "run", "--config"]
FIRST_SCORE_S = 0.85  # of sound that plays at real speed
SILENT_S = 4.0  # without a sign of life, which otherwise comes every second
HEARD_S = 120.0
RECORDING = 'kind = "file"\npath = "{path}"\nrealtime = true'
NO_MICROPHONE = 'kind = "microphone"\ndevice = "card:NotHere"'


def configuration(
    folder: Path, site: Site, source: str, *, node: str = "n", more: str = ""
) -> Path:
    path = folder / "node.toml"
    path.write_text(
        f'[node]\nid = "{node}"\nstate_dir = "state"\n[bundle]\npath = "{site.bundle_path}"\n'
        f'[source]\n{source}\n[mqtt]\nurl = "mqtt://127.0.0.1:9"\ndrain_s = 0\n{more}'
    )
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("sound") / "normal.wav"
    soundfile.write(path, MACHINE.normal(HEARD_S, 78), RATE_HZ)
    return RECORDING.format(path=path)


@contextlib.contextmanager
def service(config: Path, manager: Manager) -> Iterator[subprocess.Popen[str]]:
    """The command as systemd would start it."""
    child = subprocess.Popen(
        [*COMMAND, config], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "NOTIFY_SOCKET": manager.address},
    )  # fmt: skip
    try:
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.communicate()


def ended(child: subprocess.Popen[str]) -> str:
    child.send_signal(signal.SIGTERM)
    return child.communicate(timeout=DEADLINE_S)[1]


@contextlib.contextmanager
def thread(config: Path) -> Iterator[None]:
    """The node in this process, so that a part of it can be made to hang."""
    stop = threading.Event()

    def run() -> None:
        with contextlib.suppress(DeliveryError):
            run_node(load_settings(config), stop=stop)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    try:
        yield
    finally:
        stop.set()
        running.join(DEADLINE_S)


def signs_of_life(manager: Manager, seconds: float) -> int:
    manager.hear()
    time.sleep(seconds)
    return sum("WATCHDOG" in message for message in manager.hear())


def test_a_node_is_ready_when_sound_was_scored_and_not_before(
    tmp_path: Path, site: Site, recording: str
) -> None:
    """E04."""
    with Manager(tmp_path) as manager:
        began = time.monotonic()
        with service(configuration(tmp_path, site, recording), manager) as child:
            first = manager.wait_for("READY")
            assert time.monotonic() - began > FIRST_SCORE_S
            assert manager.told[0] == first, "nothing was told before"
            assert "main hearing" in first["STATUS"]
            ended(child)
        manager.hear()
        assert manager.told[-1] == {"STOPPING": "1"}


def test_a_node_without_its_microphone_is_ready_when_that_is_known(
    tmp_path: Path, site: Site
) -> None:
    """E05, I02."""
    with Manager(tmp_path) as manager, \
         service(configuration(tmp_path, site, NO_MICROPHONE), manager) as child:  # fmt: skip
        assert "main absent" in manager.wait_for("READY")["STATUS"]
        assert signs_of_life(manager, SILENT_S) >= 2
        assert "input main is absent" in ended(child)


def test_sound_that_ends_before_anything_was_scored_makes_no_node_ready(
    tmp_path: Path, site: Site
) -> None:
    config = configuration(tmp_path, site, 'kind = "stdin"\nrate_hz = 16000')
    with Manager(tmp_path) as manager, service(config, manager) as child:
        assert child.wait(DEADLINE_S) == 0
        assert not [message for message in manager.hear() if "READY" in message]


def test_a_loop_that_hangs_gives_no_sign_of_life_although_sound_goes_on(
    tmp_path: Path, site: Site, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E10."""
    go_on = threading.Event()
    with Manager(tmp_path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
        with thread(configuration(tmp_path, site, recording)):
            manager.wait_for("READY")
            assert signs_of_life(manager, SILENT_S) >= 2
            monkeypatch.setattr(AlarmDesk, "tick", lambda _: go_on.wait(DEADLINE_S))
            time.sleep(1.0)
            assert signs_of_life(manager, SILENT_S) == 0
            go_on.set()


def test_a_source_that_hangs_gives_no_sign_of_life_although_the_loop_goes_on(
    tmp_path: Path, site: Site, recording: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E04: nothing is scored, and nobody has said why."""
    monkeypatch.setattr(health, "UNSCORED_S", 1.5)
    hang, real = threading.Event(), RecordingPlayer.blocks

    def blocks(player: RecordingPlayer, stop: threading.Event) -> Iterator[Block | Outage]:
        for block in real(player, stop):
            if hang.is_set():
                stop.wait(DEADLINE_S)
            yield block

    monkeypatch.setattr(RecordingPlayer, "blocks", blocks)
    with Manager(tmp_path) as manager:
        monkeypatch.setenv("NOTIFY_SOCKET", manager.address)
        with thread(configuration(tmp_path, site, recording)):
            manager.wait_for("READY")
            assert signs_of_life(manager, SILENT_S) >= 2
            hang.set()
            time.sleep(2.5)
            assert signs_of_life(manager, SILENT_S) == 0


def test_sighup_takes_up_a_good_configuration_in_the_same_process(
    tmp_path: Path, site: Site, recording: str
) -> None:
    config = configuration(tmp_path, site, recording, node="before")
    with Manager(tmp_path) as manager, service(config, manager) as child:
        manager.wait_for("READY")
        configuration(tmp_path, site, recording, node="after")
        child.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        manager.wait_for("READY")
        assert child.poll() is None
        log = ended(child)
        assert log.index("before listens to") < log.index("after listens to")
        assert not [message for message in manager.told[:-1] if "STOPPING" in message]


@pytest.mark.parametrize(
    ("more", "source", "reason"),
    [
        ("no_such_key = 1\n", None, "no_such_key"),
        ("", 'kind = "file"\npath = "gone.wav"', "gone.wav"),
        ('username = "a"\npassword_file = "gone"\n', None, "password_file"),
    ],
    ids=["a key", "a recording", "a password"],
)
def test_sighup_with_a_bad_configuration_is_refused_in_one_line_and_the_old_one_goes_on(
    tmp_path: Path, site: Site, recording: str, more: str, source: str | None, reason: str
) -> None:
    config = configuration(tmp_path, site, recording)
    with Manager(tmp_path) as manager, service(config, manager) as child:
        manager.wait_for("READY")
        configuration(tmp_path, site, source or recording, more=more)
        child.send_signal(signal.SIGHUP)
        assert reason in manager.wait_for("STATUS", lambda text: "refused" in text)["STATUS"]
        assert signs_of_life(manager, SILENT_S) >= 2
        log = ended(child)
        (line,) = (line for line in log.splitlines() if "reload refused" in line)
        assert reason in line
        assert log.count("listens to") == 1


def test_a_state_folder_that_can_not_be_used_leaves_the_node_where_it_was(
    tmp_path: Path, site: Site, recording: str
) -> None:
    """That shows only when it is taken up; the node before has ended by then, and begins anew."""
    config = configuration(tmp_path, site, recording)
    with Manager(tmp_path) as manager, service(config, manager) as child:
        manager.wait_for("READY")
        (tmp_path / "taken").write_text("a file")
        config.write_text(config.read_text().replace('"state"', '"taken"'))
        child.send_signal(signal.SIGHUP)
        manager.wait_for("RELOADING")
        manager.wait_for("READY")
        log = ended(child)
        assert "reload failed" in log
        assert log.count("n listens to") == 2


def test_check_says_whether_a_configuration_is_good(
    tmp_path: Path, site: Site, recording: str
) -> None:
    def check(config: Path) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, str(config), "--check"]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_S, check=False
        )

    good = check(configuration(tmp_path, site, recording))
    assert (good.returncode, "good; node n, inputs main" in good.stdout) == (0, True)
    bad = check(configuration(tmp_path, site, recording, more="no_such_key = 1\n"))
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 1
    assert not (tmp_path / "state").exists(), "it only looks"
