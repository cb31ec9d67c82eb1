"""What the loop does for those who look at the node: it remembers a little, and hands it over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from edge.delivery.messages import describe
from edge.status.recent import Recent
from edge.status.server import StatusServer
from edge.status.snapshot import SCHEMA, SOCKET_NAME, InputView, LastEvent, Snapshot

if TYPE_CHECKING:
    from pathlib import Path

    from edge.delivery.messages import CloudEvent
    from edge.delivery.publisher import Publisher
    from edge.health import SelfReport
    from edge.inputs import Input
    from edge.stretch import Stretch

KEPT_EVENTS = 10


class Glance:
    """Used from the node's loop; nothing here waits or raises.

    Args:
        folder: where the socket is made.
        report: what the node says about itself.
        publisher: knows what keeps events from being delivered.
    """

    def __init__(self, folder: Path, report: SelfReport, publisher: Publisher) -> None:
        self._report, self._publisher = report, publisher
        self._server = StatusServer(folder / SOCKET_NAME)
        self._recent: dict[str, tuple[Stretch, Recent]] = {}
        self._events: deque[LastEvent] = deque(maxlen=KEPT_EVENTS)

    def start(self) -> None:
        """Let others look."""
        self._server.start()

    def close(self) -> None:
        """The node ends."""
        self._server.close()

    def hear(self, each: Input) -> None:
        """An input has scored its next block."""
        stretch = each.stretch
        if stretch is None:
            return
        known = self._recent.get(each.name)
        if known is None or known[0] is not stretch:
            known = (stretch, Recent(stretch.column_s, list(stretch.row_edges_hz)))
            self._recent[each.name] = known
        known[1].add(stretch.levels_db, stretch.evidence)

    def event(self, event: CloudEvent) -> None:
        """An event was kept."""
        self._events.appendleft(LastEvent(event.id, event.time, describe(event)))

    def work(self) -> None:
        """Hand over what there is, if somebody looks."""
        if self._server.wanted:
            self._server.offer(self._snapshot())

    def _snapshot(self) -> Snapshot:
        health = self._report.health()
        return Snapshot(
            schema=SCHEMA,
            broker=str(self._publisher.connection.settings.address),
            broker_trouble=self._publisher.trouble,
            health=health,
            state=self._report.state(),
            inputs=[self._view(each.name) for each in health.inputs],
            events=list(self._events),
        )

    def _view(self, name: str) -> InputView:
        known = self._recent.get(name)
        if known is None:
            return InputView(name=name, score=None, picture=None)
        return InputView(name=name, score=known[1].score(), picture=known[1].picture())
