"""`earpatch doctor` as a technician meets it: real processes, a real node, a real broker."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

from edge.doctor.run import GROUPS
from edge.status.snapshot import SOCKET_NAME
from tests.conftest import Broker, Site, free_port
from tests.edge.delivery.test_listen import wait_until
from tests.edge.test_commands import assert_one_line, earpatch
from tests.edge.test_node import configuration, day_source, started

if TYPE_CHECKING:
    from pathlib import Path


def by_name(output: str) -> dict[str, dict[str, str]]:
    return {each["name"]: each for each in json.loads(output)["checks"]}


def test_a_good_node_that_does_not_run_passes(tmp_path: Path, site: Site, broker: Broker) -> None:
    config = configuration(tmp_path, site, broker.port, day_source(site))
    ran = earpatch("doctor", "--config", config)
    assert (ran.returncode, ran.stderr) == (0, ""), ran.stdout
    *lines, summary = ran.stdout.splitlines()
    words = {line.split()[0] for line in lines}
    assert words <= {"ok", "warning", "skipped"}
    assert "ok" in summary
    assert not (tmp_path / "state").exists(), "looking changes nothing"


def test_a_running_node_passes_and_is_asked(tmp_path: Path, site: Site, broker: Broker) -> None:
    config = configuration(tmp_path, site, broker.port, day_source(site, realtime=True))
    with started(config) as node:
        wait_until((tmp_path / "state" / SOCKET_NAME).exists)
        ran = earpatch("doctor", "--config", config, "--json")
        assert node.poll() is None
        node.send_signal(signal.SIGTERM)
    assert ran.returncode == 0, ran.stdout
    found = by_name(ran.stdout)
    assert "runs for" in found["node"]["found"]
    assert found["input"]["found"].startswith("main: ")
    assert found["writing"]["state"] == "ok"


def test_what_fails_is_one_line_each_and_code_2(tmp_path: Path, site: Site) -> None:
    config = configuration(tmp_path, site, free_port(), day_source(site))
    config.write_text(config.read_text().replace(str(site.bundle_path), "nowhere"))
    ran = earpatch("doctor", "--config", config, "--json")
    assert (ran.returncode, ran.stderr) == (2, "")
    told = json.loads(ran.stdout)
    failed = {each["name"] for each in told["checks"] if each["state"] == "failed"}
    assert (failed, told["ok"]) == ({"bundle", "broker TCP"}, False)


def test_a_mistake_in_the_configuration_leaves_the_other_checks(tmp_path: Path) -> None:
    config = tmp_path / "node.toml"
    config.write_text("[node]\nid = 3\n")
    ran = earpatch("doctor", "--config", config, "--json")
    assert (ran.returncode, ran.stderr) == (2, "")
    found = by_name(ran.stdout)
    assert found["configuration"]["state"] == "failed"
    assert found["interpreter"]["state"] == "ok"
    assert found["broker"]["state"] == "skipped"


def test_without_a_configuration_the_computer_alone_is_checked(tmp_path: Path) -> None:
    ran = earpatch("doctor", "--json", cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout
    found = by_name(ran.stdout)
    assert found["configuration"]["state"] == "skipped"
    assert {group.name for group in GROUPS} - set(found) <= {"disk", "computer", "permissions"}


def test_an_unknown_option_is_no_run(tmp_path: Path) -> None:
    assert earpatch("doctor", "--fast", cwd=tmp_path).returncode == 2


def test_status_and_doctor_agree_that_a_node_does_not_run(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    config = configuration(tmp_path, site, broker.port, day_source(site))
    assert_one_line(earpatch("status", "--config", config), 4, "not running")
    told = by_name(earpatch("doctor", "--config", config, "--json").stdout)
    assert "not running" in told["node"]["found"]
