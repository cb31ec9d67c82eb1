"""A snapshot as a node tells it, for those who draw and send them."""

from __future__ import annotations

from datetime import datetime, timezone

import numpy as np

from edge.delivery import examples
from edge.status.recent import Recent
from edge.status.snapshot import SCHEMA, InputView, LastEvent, Snapshot

ROWS, COLUMN_S = 16, 0.08
EDGES_HZ = [1_000.0 * i for i in range(ROWS + 1)]


def recent(columns: int = 250, seed: int = 0) -> Recent:
    """Sound with something in the middle that stands out."""
    random, made = np.random.default_rng(seed), Recent(COLUMN_S, EDGES_HZ)
    levels_db = random.normal(-40, 3, (columns, ROWS)).astype(np.float32)
    evidence = np.abs(random.normal(0, 0.2, (columns, ROWS))).astype(np.float32)
    evidence[columns // 2 : columns // 2 + 20, 4:8] = 6.0
    made.add(levels_db, evidence[: max(0, columns - 31)])
    return made


def snapshot(*, events: int = 3, reason: str = "") -> Snapshot:
    """The example of the contract, with a picture for its inputs."""
    health, state = examples.health(), examples.state()
    when = datetime(2026, 11, 25, 14, 3, 22, tzinfo=timezone.utc)
    names = [each.name for each in state.inputs]
    assert names == [each.name for each in health.inputs]
    return Snapshot(
        schema=SCHEMA,
        broker="mqtt://127.0.0.1:1883",
        broker_trouble=reason or None,
        health=health,
        state=state,
        inputs=[InputView(name=n, score=0.4, picture=recent().picture()) for n in names],
        events=[LastEvent(f"id{i}", when, f"14:03:2{i} pump-3/main  hiss") for i in range(events)],
    )
