"""The whole node on a disk that is full, read-only or damaged: it scores, publishes and says so."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from edge.delivery.outbox import FILE_NAME
from edge.node import run_node
from edge.settings import load_settings
from tests.edge.delivery.test_listen import Subscriber, wait_until
from tests.edge.delivery.test_outbox_disk import fill, small_disk
from tests.edge.test_node import anomalies, boxes, by_time, configuration, day_source, scored

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.conftest import Broker, Site


def all_arrives(folder: Path, site: Site, broker: Broker) -> None:
    """A run over the site's day: every event that scoring finds comes to a subscriber."""
    settings = load_settings(configuration(folder, site, broker.port, day_source(site)))
    expected = scored(site)
    with Subscriber(broker.port) as heard:
        assert run_node(settings) == len(expected)
        wait_until(lambda: len(anomalies(heard)) >= len(expected))
        assert boxes(anomalies(heard)) == by_time(expected)


def test_on_a_damaged_outbox(
    tmp_path: Path, site: Site, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """I09, I12, I14: NUL bytes after a power cut."""
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / FILE_NAME).write_bytes(bytes(20_000))
    all_arrives(tmp_path, site, broker)
    assert "was damaged" in caplog.text
    assert (tmp_path / "state" / "outbox.corrupt-1").read_bytes() == bytes(20_000)


def test_on_a_full_disk(
    tmp_path: Path, site: Site, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """I11."""
    with small_disk(tmp_path / "state", 256) as disk:
        fill(disk)
        all_arrives(tmp_path, site, broker)
        assert "events are kept in memory" in caplog.text


def test_on_a_read_only_disk(
    tmp_path: Path, site: Site, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    """I11."""
    with small_disk(tmp_path / "state", 256) as disk:
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        all_arrives(tmp_path, site, broker)
        assert "events are kept in memory" in caplog.text
