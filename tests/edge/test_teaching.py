"""Calibration from afar: what the disk has no room for is refused before anything is written."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from edge import teaching
from edge.remote import Calibrate
from edge.teaching import Teaching
from tests.edge.test_remote import Bench

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_recording_that_would_leave_no_room_for_events_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    each: Any = SimpleNamespace(bundle_path=tmp_path / "bundle", stretch=None)
    learner = Teaching(Bench(tmp_path).remote)
    monkeypatch.setattr(teaching, "KEPT_FREE_BYTES", 10**18)
    answer = learner.begin(each, Calibrate(id="1", seconds=600.0))
    assert answer.status == "refused"
    assert f"{tmp_path / 'bundle-recordings'}: " in answer.text
    assert "delete old recordings there, or ask for fewer seconds" in answer.text
    assert not (tmp_path / "bundle-recordings").exists()
    monkeypatch.undo()
    assert learner.begin(each, Calibrate(id="2", seconds=10.0)).status == "started"
