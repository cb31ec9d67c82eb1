"""The whole node as an edge node: what it hears, and what hosts command, goes through one loop."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import TYPE_CHECKING

from edge.node import run_node
from edge.settings import load_settings
from edge.sparkplug.catalogue import ANSWER
from edge.sparkplug.datatypes import DataType
from tests.edge.delivery.test_listen import Subscriber, wait_until
from tests.edge.sparkplug.host import NODE, Host
from tests.edge.test_node import configuration, day_source

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Broker, Site

CHILD_S = 60.0
SPARKPLUG = '[sparkplug]\nenabled = true\ngroup = "plant"\nevery_s = 0\n'
LOOK = """
import sys
import edge.node, edge.settings
print([name for name in sys.modules if name.startswith("google") or name.endswith("_pb2")])
"""


def test_a_host_sees_an_event_acknowledges_it_and_sees_that(
    tmp_path: Path, site: Site, broker: Broker
) -> None:
    """The event's ID is that of the JSON contract, which has the answer too."""
    config = configuration(tmp_path, site, broker.port, day_source(site, realtime=True))
    config.write_text(config.read_text() + SPARKPLUG)
    stop = threading.Event()
    node = threading.Thread(
        target=run_node, args=(load_settings(config),), kwargs={"stop": stop}, daemon=True
    )
    with Host(broker.port) as host, Subscriber(broker.port, "site/#") as json_contract:
        node.start()
        now = host.tracker.now
        try:
            wait_until(lambda: host.tracker.devices.get("main"))
            wait_until(lambda: now["main", "Event/ID"].value)
            wait_until(lambda: now["main", "Alarm/State"].value == "active_unacknowledged")
            host.write("main", "Command/Acknowledge", DataType.BOOLEAN, value=True)
            wait_until(lambda: now["main", "Alarm/State"].value == "active_acknowledged")
            wait_until(lambda: now["main", ANSWER].value)
            host.write("main", "Command/Recalibrate", DataType.BOOLEAN, value=True)
            wait_until(lambda: "calibrate" in str(now["main", ANSWER].value))
        finally:
            stop.set()
            node.join(CHILD_S)
        wait_until(lambda: not host.tracker.online)
    assert not node.is_alive()
    assert host.tracker.faults == []
    scores = [value for value in host.tracker.values("main", "Score") if value is not None]
    assert max(float(score) for score in scores) >= 1.0
    events = b"".join(json_contract.payloads(f"site/area/{NODE}/event"))
    assert str(now["main", "Event/ID"].value).encode() in events
    answers = [str(value) for value in host.tracker.values("main", ANSWER)]
    assert any(text.startswith("acknowledge: done: acknowledged") for text in answers)
    assert "not allowed here" in answers[-1], "[commands] allow holds for hosts too"


def test_without_sparkplug_nothing_of_it_is_loaded() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK], capture_output=True, text=True, timeout=CHILD_S, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
