"""A little of what `make delivery` does: killed nodes, and a backlog beside live events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edge.delivery.outbox import Outbox
from tests.edge.delivery.endurance import drain, kill_again_and_again
from tests.edge.delivery.test_outbox import message

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Broker

KILLS = 6
WAITING, RATE_PER_S = 400, 100.0


def fill(folder: Path, count: int) -> None:
    """Events of the usual size."""
    outbox = Outbox(folder)
    for number in range(1, count + 1):
        outbox.put(message(json.dumps({"sequence": number, "x": "x" * 600}).encode()))
    outbox.close()


def test_what_was_recorded_arrives_though_node_and_link_die_again_and_again(
    tmp_path: Path, broker: Broker
) -> None:
    """F15, F16, F17, I10, I22."""
    found = kill_again_and_again(tmp_path, broker, KILLS, seed=1)
    assert found.kills == KILLS
    assert len(found.recorded) >= KILLS
    assert found.missing == set()
    assert set(found.untold_in_run.values()) <= {1}
    assert len(set(found.sequences.values())) == len(found.sequences), "one number, one event"


def test_a_backlog_is_drained_in_order_at_its_rate_and_live_events_pass_it(
    tmp_path: Path, broker: Broker
) -> None:
    """F14, F15, I20."""
    fill(tmp_path, WAITING)
    drained = drain(tmp_path, broker, RATE_PER_S, seconds=60)
    assert (drained.waiting, drained.left) == (WAITING, 0)
    assert drained.backlog == list(range(1, WAITING + 1))
    assert drained.took_s >= 0.9 * WAITING / RATE_PER_S
    assert drained.live >= 5
    assert max(drained.live_delays_s) < 2.0
