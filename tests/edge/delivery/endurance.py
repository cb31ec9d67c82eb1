"""What shows that nothing is lost: nodes that are killed, and a backlog that is drained.

The suite runs a little of it, `make delivery` all of it.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge.delivery.outbox import Outbox
from tests.edge.delivery.faults import Proxy
from tests.edge.delivery.test_listen import Subscriber, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Broker

EVENTS = "site/pump-3/event"
CHILD_S = 60.0
LIVE_PER_S = 5.0
# Reports an event as recorded when `put` has returned, and goes on until it is killed.
PUBLISH = """
import json, random, sys, time
from pathlib import Path
from edge.delivery.backoff import BackoffLimits
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Publisher
from edge.delivery.records import Outgoing
from edge.delivery.settings import MqttSettings
from edge.delivery.ulid import UlidSource
folder, port, run = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
outbox, new_id = Outbox(folder), UlidSource()
settings = MqttSettings(url=f"mqtt://127.0.0.1:{port}", topic_prefix="site",
                        backlog_rate_per_s=10_000)
publisher = Publisher(settings, "pump-3", outbox, BackoffLimits(0.02, 0.1))
publisher.start()
random.seed(run)
while True:
    event = {"id": new_id(), "sequence": outbox.next_sequence(), "run": run}
    outbox.put(Outgoing(id=event["id"], payload=json.dumps(event).encode()))
    assert outbox.durable
    print(json.dumps(event), flush=True)
    for _ in range(random.randrange(4)):
        publisher.pump()
        time.sleep(0.005)
"""
# Fills an outbox, or drains it with live events in between; prints what it took.
DRAIN = """
import json, sys, time
from pathlib import Path
from edge.delivery.outbox import Outbox
from edge.delivery.publisher import Publisher
from edge.delivery.records import Outgoing, OutboxLimits
from edge.delivery.settings import MqttSettings
folder, port = Path(sys.argv[1]), sys.argv[2]
rate, live_per_s, seconds = map(float, sys.argv[3:])
def resident_kib(key="VmRSS:"):
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(key))
outbox = Outbox(folder, OutboxLimits(max_rows=200_000))  # none is dropped for a live one
before_kib, waiting = resident_kib(), len(outbox)
settings = MqttSettings(url=f"mqtt://127.0.0.1:{port}", topic_prefix="site",
                        backlog_rate_per_s=rate)
publisher = Publisher(settings, "pump-3", outbox)
publisher.start()
begun_s, live = time.monotonic(), 0
while len(outbox) and time.monotonic() - begun_s < seconds:
    if (time.monotonic() - begun_s) * live_per_s > live:
        live += 1
        payload = json.dumps({"sequence": outbox.next_sequence(), "put_s": time.monotonic()})
        outbox.put(Outgoing(id="", payload=payload.encode()))
    publisher.pump()
    time.sleep(0.01)
took_s = time.monotonic() - begun_s
publisher.stop()
print(json.dumps({"waiting": waiting, "left": len(outbox), "live": live, "took_s": took_s,
                  "before_kib": before_kib, "peak_kib": resident_kib("VmHWM:")}))
"""


@dataclass
class Killings:
    """What came of a series of killed nodes."""

    kills: int = 0
    cuts: int = 0
    recorded: dict[str, int] = field(default_factory=dict)  # id -> sequence, as the nodes told
    received: Counter[str] = field(default_factory=Counter)  # id -> how often
    untold_in_run: Counter[int] = field(default_factory=Counter)
    sequences: dict[str, int] = field(default_factory=dict)  # id -> sequence, as received

    @property
    def missing(self) -> set[str]:
        """Recorded, and never received."""
        return set(self.recorded) - set(self.received)

    @property
    def untold(self) -> int:
        """Received and never told: killed between `put` and telling, so one of a run at most."""
        return sum(self.untold_in_run.values())

    @property
    def repeats(self) -> int:
        """Received more than once, with the same id."""
        return sum(count - 1 for count in self.received.values())


def kill_again_and_again(folder: Path, broker: Broker, kills: int, seed: int) -> Killings:
    """Start a node, kill it at a random moment, cut its link at others; then let one finish."""
    found, chance = Killings(), random.Random(seed)
    hop = Proxy(broker.port)
    over = threading.Event()

    def cut() -> None:
        while not over.wait(chance.uniform(0.05, 0.6)):
            hop.cut()
            found.cuts += 1

    cutter = threading.Thread(target=cut)
    with Subscriber(broker.port, EVENTS) as heard:
        cutter.start()
        try:
            for run in range(kills):
                _run_and_kill(folder, hop.port, run, chance.uniform(0.0, 0.5), found)
        finally:
            over.set()
            cutter.join()
        _finish(folder, hop.port)
        time.sleep(0.5)
        wait_until(lambda: len({bytes(m.payload) for m in heard.messages}) >= len(found.recorded))
        for message in heard.messages:
            event = json.loads(message.payload)
            if event["id"] not in found.received and event["id"] not in found.recorded:
                found.untold_in_run[event["run"]] += 1
            found.received[event["id"]] += 1
            found.sequences.setdefault(event["id"], event["sequence"])
            assert found.sequences[event["id"]] == event["sequence"]
    hop.close()
    return found


def _run_and_kill(folder: Path, port: int, run: int, after_s: float, found: Killings) -> None:
    command = [sys.executable, "-c", PUBLISH, str(folder), str(port), str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        told = [child.stdout.readline()]  # it is at work
        time.sleep(after_s)
        child.kill()
        told += child.stdout.read().splitlines()
        child.wait(CHILD_S)
    found.kills += 1
    for line in told:
        try:
            event = json.loads(line)
        except ValueError:  # killed while it told
            continue
        found.recorded[event["id"]] = event["sequence"]


def _finish(folder: Path, port: int) -> None:
    command = [sys.executable, "-c", DRAIN, str(folder), str(port), "10000", "0", str(CHILD_S)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=CHILD_S, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["left"] == 0
    outbox = Outbox(folder)
    assert outbox.quarantined() == []
    assert outbox.recovered_from is None
    outbox.close()


@dataclass
class Drained:
    """What came of draining a backlog."""

    waiting: int
    left: int
    live: int
    took_s: float
    growth_mib: float
    backlog: list[int]  # sequences as they came
    live_delays_s: list[float]


def drain(folder: Path, broker: Broker, rate_per_s: float, seconds: float) -> Drained:
    """Drain an outbox in a process of its own that puts live events besides."""
    delays: list[float] = []
    backlog: list[int] = []

    class Timed(Subscriber):
        def __init__(self) -> None:
            super().__init__(broker.port, EVENTS)
            self._client.on_message = self._take

        def _take(self, _client: object, _data: object, message: object) -> None:
            event = json.loads(message.payload)  # type: ignore[attr-defined]
            if "put_s" in event:
                delays.append(time.monotonic() - event["put_s"])
            elif "sequence" in event:
                backlog.append(event["sequence"])

    command = [sys.executable, "-c", DRAIN, str(folder), str(broker.port), str(rate_per_s)]
    command += [str(LIVE_PER_S)]
    with Timed():
        done = subprocess.run(
            [*command, str(seconds)], capture_output=True, text=True,
            timeout=seconds + CHILD_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        expected = told["waiting"] + told["live"] - told["left"]
        wait_until(lambda: len(backlog) + len(delays) >= expected)
    growth_mib = (told["peak_kib"] - told["before_kib"]) / 1024
    return Drained(
        told["waiting"], told["left"], told["live"], told["took_s"], growth_mib, backlog, delays
    )
