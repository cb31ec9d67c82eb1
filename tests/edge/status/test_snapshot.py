"""One line of JSON, never longer than a reader has to take."""

from __future__ import annotations

import msgspec

from edge.status.snapshot import MAX_LINE_BYTES, InputView, Refused, Snapshot, encoded
from tests.edge.status.snapshots import recent, snapshot


def test_a_line_holds_the_whole_snapshot() -> None:
    told = snapshot()
    line = encoded(told)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert msgspec.json.decode(line, type=Snapshot | Refused) == told


def test_a_node_with_too_many_pictures_sends_none() -> None:
    picture = recent().picture()
    views = [InputView(name=f"i{n}", score=1.0, picture=picture) for n in range(120)]
    line = encoded(msgspec.structs.replace(snapshot(), inputs=views))
    assert len(line) <= MAX_LINE_BYTES
    told = msgspec.json.decode(line, type=Snapshot)
    assert [view.name for view in told.inputs] == [view.name for view in views]
    assert {view.picture for view in told.inputs} == {None}


def test_what_is_too_long_all_the_same_is_refused() -> None:
    told = msgspec.structs.replace(snapshot(), broker="x" * MAX_LINE_BYTES)
    assert "too long" in msgspec.json.decode(encoded(told), type=Refused).reason
