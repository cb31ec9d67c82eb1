"""Slow evidence: 300 killed nodes lose nothing, and 100,000 waiting events take no memory."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from edge.delivery.records import Numbered, OutboxLimits
from edge.delivery.store import EventStore
from tests.conftest import free_port, run_mosquitto
from tests.edge.delivery.endurance import drain, kill_again_and_again

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Broker

pytestmark = pytest.mark.delivery

KILLS = 300
WAITING = 100_000
RATE_PER_S = 1_000.0
WAIT_S = 500.0
MAX_GROWTH_MIB = 15.0
MAX_LIVE_DELAY_S = 2.0


def test_300_kills_and_a_link_that_is_cut_at_random_lose_nothing(
    tmp_path: Path, broker: Broker
) -> None:
    """F15, F16, F17, F34, I10."""
    found = kill_again_and_again(tmp_path, broker, KILLS, seed=2)
    print(
        f"\n{found.kills} kills and {found.cuts} cuts: {len(found.recorded)} events recorded, "
        f"{len(found.missing)} missing, {found.repeats} repeats with the same id, "
        f"{found.untold} more were kept by nodes that died before they told"
    )
    assert found.kills == KILLS
    assert found.missing == set()
    assert set(found.untold_in_run.values()) <= {1}
    assert len(set(found.sequences.values())) == len(found.sequences)


def numbered(sequence: int) -> Numbered:
    payload = json.dumps({"sequence": sequence, "x": "x" * 600}).encode()
    return Numbered(sequence, "", "", "event", active=False, payload=payload)


def fill(folder: Path, count: int) -> None:
    """In large transactions: `put` would sync each one."""
    folder.mkdir()
    store = EventStore(folder / "outbox.sqlite")
    limits = OutboxLimits(max_rows=count, max_bytes=2**30)
    for first in range(1, count + 1, 1_000):
        payloads = [
            json.dumps({"sequence": n, "x": "x" * 600}).encode()
            for n in range(first, first + 1_000)
        ]
        rows = [
            Numbered(n, "", "", "event", False, payload)
            for n, payload in enumerate(payloads, first)
        ]
        store.insert(rows, limits)
    store.close()


def test_100_000_waiting_events_are_drained_in_order_in_little_memory(tmp_path: Path) -> None:
    """F13, F14, F15, F34, I20. mosquitto itself drops what waits for a subscriber beyond 1,000."""
    fill(tmp_path / "state", WAITING)
    with run_mosquitto(tmp_path, free_port(), "max_queued_messages 0") as broker:
        drained = drain(tmp_path / "state", broker, RATE_PER_S, WAIT_S)
    sent = drained.waiting - drained.left + drained.live
    print(
        f"\n{drained.waiting} waiting, {sent} sent in {drained.took_s:.0f} s "
        f"({len(drained.backlog) / drained.took_s:.0f}/s of the backlog), "
        f"resident memory {drained.growth_mib:+.1f} MiB; {drained.live} live events, "
        f"the oldest {max(drained.live_delays_s):.2f} s old when it came"
    )
    assert drained.left == 0
    assert drained.backlog == list(range(1, WAITING + 1))
    assert len(drained.backlog) / drained.took_s <= 1.1 * RATE_PER_S
    assert drained.growth_mib <= MAX_GROWTH_MIB
    assert max(drained.live_delays_s) <= MAX_LIVE_DELAY_S
