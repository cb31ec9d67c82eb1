"""`earpatch setup` as a command: with a file of answers, at a terminal, and where nobody is."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.setup.answers import Answers, load_answers
from calibration.setup.service import commands, unit_of
from edge.errors import SettingsError
from edge.settings import load_settings
from tests.conftest import Broker, free_port

COMMAND = [sys.executable, "-m", "convert.main", "setup", "--config"]
DEADLINE_S = 120.0
# What the terminal shows, and what is typed then; in the order in which it comes.
TYPED = (
    ("Name of the node", "pump-9\n"),
    ("Which?", "card:NotHere\n"),
    ("right microphone?", "y\n"),
    ("Site, area and line", "site/hall\n"),
    ("Address", "{url}\n"),
    ("User name", "\n"),
    ("Go on?", "\n"),
    ("Minutes to learn now", "0\n"),
    ("Start to listen now", "n\n"),
)


def run(config: Path, answers: Path | None = None) -> subprocess.CompletedProcess[str]:
    given_ = [] if answers is None else ["--answers", str(answers)]
    return subprocess.run(
        [*COMMAND, str(config), *given_],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def answers(folder: Path, port: int, more: str = "") -> Path:
    path = folder / "answers.toml"
    path.write_text(
        f'node = "pump-9"\ndevice = "port:1-1.2"\nurl = "mqtt://127.0.0.1:{port}"\n'
        f'topic_prefix = "site/hall"\n{more}'
    )
    return path


def test_where_nobody_is_it_refuses_and_says_what_else_there_is(tmp_path: Path) -> None:
    """A service never waits for an answer."""
    done = run(tmp_path / "node.toml")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "--answers" in line
    assert not list(tmp_path.iterdir())


def test_a_file_of_answers_makes_a_configuration(tmp_path: Path, broker: Broker) -> None:
    config = tmp_path / "node.toml"
    done = run(config, answers(tmp_path, broker.port))
    assert done.returncode == 0, done.stderr
    settings = load_settings(config)
    assert (settings.node.id, settings.mqtt.topic_prefix) == ("pump-9", "site/hall")
    assert "PUBACK   ok" in done.stdout
    assert "earpatch calibrate" in done.stdout, "what is left to do"


def test_a_broker_that_does_not_answer_is_refused_unless_that_is_wanted(tmp_path: Path) -> None:
    config, port = tmp_path / "node.toml", free_port()
    refused = run(config, answers(tmp_path, port))
    assert refused.returncode == 2
    assert not config.exists()
    wanted = run(config, answers(tmp_path, port, "broker_must_answer = false\n"))
    assert wanted.returncode == 0, wanted.stderr
    assert load_settings(config).node.id == "pump-9"


def test_a_technician_is_led_through_it_at_a_terminal(tmp_path: Path, broker: Broker) -> None:
    config = tmp_path / "node.toml"
    pid, terminal = pty.fork()
    if pid == 0:  # the child
        os.execv(sys.executable, [*COMMAND, str(config)])  # noqa: S606
    shown = talk(terminal, broker.url)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, shown
    settings = load_settings(config)
    (only,) = settings.all_inputs()
    assert (settings.node.id, only.source.device) == ("pump-9", "card:NotHere")  # type: ignore[union-attr]
    assert settings.mqtt.url == broker.url
    assert "not heard: it is absent" in shown
    assert "site/hall/pump-9/check is acknowledged" in shown


def talk(terminal: int, url: str) -> str:
    """Type each line when its question is there; returns all that was shown."""
    shown, asked, deadline = "", 0, time.monotonic() + DEADLINE_S
    todo = list(TYPED)
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 65_536)
            except OSError:  # it has ended
                return shown
            shown += data.decode(errors="replace")
        if todo and (found := shown.find(todo[0][0], asked)) >= 0 and shown.endswith(": "):
            asked = found + len(todo[0][0])
            os.write(terminal, todo.pop(0)[1].format(url=url).encode())
    pytest.fail(f"it did not end; it showed {shown}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("node = 'a b'", "node"),
        ("nodes = 'a'", "nodes"),
        ("", "node"),
        ("node = 'a'\nca_file = '/x'", "ca_file"),
        ("node = 'a'\ndevice = 'hw:1,0'", "hw:1"),
        ("node = 'a'\ncalibrate_s = 5", "calibrate_s"),
        ("node = ", "TOML"),
    ],
)
def test_a_bad_answer_is_named(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "answers.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=reason):
        load_answers(path)


@given(st.binary(max_size=200))
def test_whatever_a_file_of_answers_holds_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "answers.toml"
    path.write_bytes(b"node = 'a'\n" + data)
    with contextlib.suppress(SettingsError):
        assert load_answers(path).node == "a"


def test_each_configuration_has_its_unit() -> None:
    assert unit_of(Path("/etc/earpatch/earpatch.toml")) == "earpatch.service"
    assert unit_of(Path("/etc/earpatch/east.toml")) == "earpatch@east.service"
    assert unit_of(Path("/home/pi/node.toml")) is None


def test_a_node_that_was_never_calibrated_is_not_started() -> None:
    told = Answers(node="a", start=True)
    config, bundle = Path("/etc/earpatch/earpatch.toml"), Path("/var/lib/earpatch/bundle")
    assert commands(told, config, bundle, learnt=False) == []
    assert ["systemctl", "restart", "earpatch.service"] in commands(
        told, config, bundle, learnt=True
    )


def test_a_node_is_stopped_while_its_microphone_is_needed_for_calibration() -> None:
    told = Answers(node="a", calibrate_s=600.0, start=True)
    config, bundle = Path("/etc/earpatch/earpatch.toml"), Path("/var/lib/earpatch/bundle")
    stop, calibrate, *rest = commands(told, config, bundle, learnt=False)
    assert stop == ["systemctl", "stop", "earpatch.service"]
    assert calibrate[-5:] == [str(bundle), "--seconds", "600", "--config", str(config)]
    assert rest[-1] == ["systemctl", "restart", "earpatch.service"]


def test_every_answer_is_explained_to_a_technician() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "install.md").read_text("utf-8")
    assert not [key for key in Answers.__struct_fields__ if f"`{key}`" not in page]
