"""What a node does when told to: a snapshot that the broker does not take is not called sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edge.errands import Errands
from edge.remote import CommandSettings
from tests.edge.test_remote import Bench

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_snapshot_that_the_broker_does_not_take_so_fast_fails_and_says_how_far_it_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.flac"
    clip.write_bytes(bytes(200_000))
    bench = Bench(tmp_path, allowed=CommandSettings(allow=("snapshot",)))
    inputs: Any = [SimpleNamespace(name="main")]
    clips: Any = SimpleNamespace(latest=lambda _: clip)
    report: Any = SimpleNamespace()
    Errands(bench.remote, inputs, clips, report)
    assert bench.send("snapshot", {"id": "1"}).status == "done"
    publish, before = bench.publisher.publish, len(bench.publisher.sent)
    monkeypatch.setattr(
        bench.publisher,
        "publish",
        lambda leaf, payload: publish(leaf, payload) and len(bench.publisher.sent) < before + 3,
    )
    answer = bench.send("snapshot", {"id": "2"})
    assert answer.status == "failed"
    assert answer.text == "the broker does not take it so fast; 2 of 5 parts were sent"
