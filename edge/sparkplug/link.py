"""Ties the edge node to the node's loop. Where [sparkplug] is off, nothing of it is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.delivery.session import Received
from edge.sparkplug.snapshot import Heard, Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from edge.clock import Clock
    from edge.delivery.messages import CloudEvent
    from edge.health import SelfReport
    from edge.inputs import Input
    from edge.remote import Remote
    from edge.settings import Settings
    from edge.sparkplug.edge_node import SparkplugNode

UPDATE_EVERY_S = 0.2


class SparkplugLink:
    """Call `turn` from the loop; it never waits.

    Args:
        settings: the whole configuration.
        inputs: each becomes a device.
        folder: where bdSeq is kept.
        report: what the node says about itself.
        remote: does what hosts ask for, if `[commands]` allows it.
        clock: UTC and monotonic.

    Raises:
        SettingsError: an address is none, or a certificate, key or password can't be read.
    """

    def __init__(
        self,
        settings: Settings,
        inputs: Sequence[Input],
        folder: Path,
        report: SelfReport,
        remote: Remote,
        clock: Clock,
    ) -> None:
        self._inputs, self._report, self._remote = inputs, report, remote
        self._clock = clock
        self._updated_s = float("-inf")
        self._node: SparkplugNode | None = None
        if settings.sparkplug.enabled:
            from edge.sparkplug.edge_node import SparkplugNode  # noqa: PLC0415  (loads protobuf)

            names = [each.name for each in inputs]
            self._node = SparkplugNode(
                settings.sparkplug, settings.mqtt, settings.node.id, names, folder, clock
            )
            remote.listen(self._node.answered)

    def start(self) -> None:
        """Begin to connect."""
        if self._node is not None:
            self._node.update(self._snapshot())
            self._node.start()

    def stop(self) -> None:
        """Tell the last values, say NDEATH, and end."""
        if self._node is not None:
            self._node.update(self._snapshot())
            self._node.stop()

    def event(self, event: CloudEvent) -> None:
        """An event was kept for delivery."""
        if self._node is not None:
            self._node.event(event)

    def turn(self) -> None:
        """Hand over how things stand, and do what hosts ask for."""
        if self._node is None:
            return
        for asked in self._node.commands():
            self._remote.take(Received(asked.name, asked.payload, retained=False))
        now_s = self._clock.monotonic_s()
        if now_s - self._updated_s >= UPDATE_EVERY_S:
            self._updated_s = now_s
            self._node.update(self._snapshot())

    def _snapshot(self) -> Snapshot:
        heard = {each.name: found for each in self._inputs if (found := _heard(each))}
        return Snapshot(self._report.health(), self._report.state(), heard)


def _heard(each: Input) -> Heard | None:
    score = each.score
    if score is None:
        return None
    return Heard(score, each.bundle.manifest.thresholds.tail.per_day(score))
