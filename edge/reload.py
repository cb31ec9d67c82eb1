"""Another configuration for a node that runs: read and tried while the old one goes on.

SIGHUP asks for it. What can't be used is refused with one line, and nothing changes. What can is
taken up at the end of a turn of the node's loop: the old loop ends as it would at SIGTERM, events
that wait stay on disk, and a new one begins in the same process. About two seconds of sound are
lost meanwhile.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from edge.delivery.credentials import check_files
from edge.errors import EarpatchError
from edge.inputs import Input
from edge.starts import Starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.settings import Settings
    from edge.watchdog import Watchdog

log = logging.getLogger(__name__)

Made = TypeVar("Made")


class Prepared(NamedTuple):
    """Settings, and the inputs that they name, opened but not heard yet."""

    settings: Settings
    inputs: list[Input]


def prepare(settings: Settings, starts: Starts) -> Prepared:
    """Open what the settings name: bundles, recordings, certificates. No microphone, no broker.

    Args:
        settings: what to open.
        starts: opens bundles, and counts the starts of those on trial.

    Raises:
        EarpatchError: something can't be used.
    """
    sparkplug = settings.sparkplug
    for server in (settings.mqtt, *(sparkplug.servers(settings.mqtt) if sparkplug.enabled else ())):
        check_files(server)
    inputs = [
        Input(each, settings.liveness, settings.events, starts=starts)
        for each in settings.all_inputs()
    ]
    return Prepared(settings, inputs)


def renewed(
    current: Prepared,
    following: Prepared,
    make: Callable[[Settings, list[Input]], Made],
    starts: Starts,
) -> tuple[Prepared, Made]:
    """A node with the settings that follow; with those before if it can't be made of them.

    Raises:
        EarpatchError: neither can be.
    """
    try:
        return following, make(*following)
    except EarpatchError as error:
        log.error("reload failed: %s; the configuration before goes on", error)  # noqa: TRY400
    again = prepare(current.settings, starts)
    return again, make(*again)


class Reload:
    """Waits for somebody to ask, and keeps what is to come next.

    Args:
        read: reads the configuration anew; without it nothing is ever reloaded.
        watchdog: is told, so that `systemctl reload` knows when it is over.
        starts: opens bundles; those that are open already are not counted again.
    """

    def __init__(
        self,
        read: Callable[[], Settings] | None,
        watchdog: Watchdog,
        starts: Starts | None = None,
    ) -> None:
        self._read, self._watchdog, self._starts = read, watchdog, starts or Starts()
        self._asked = threading.Event()
        self._next: Prepared | None = None

    def ask(self) -> None:
        """Reload soon. May be called from a signal handler."""
        self._asked.set()

    def due(self) -> bool:
        """Whether the loop should end for the next settings; tries what was asked for."""
        if self._asked.is_set() and self._read is not None:
            self._asked.clear()
            self._try(self._read)
        return self._next is not None

    def take(self) -> Prepared | None:
        """What comes next, once."""
        taken, self._next = self._next, None
        return taken

    def _try(self, read: Callable[[], Settings]) -> None:
        self._watchdog.reloading()
        try:
            self._next = prepare(read(), self._starts)
        except (EarpatchError, OSError) as error:
            log.error("reload refused: %s; the configuration before goes on", error)  # noqa: TRY400
            self._watchdog.ready(f"reload refused: {error}")
        else:
            log.info("the configuration was read anew")
