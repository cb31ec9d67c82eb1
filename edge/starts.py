"""Opening bundles for one start of the node: a version on trial is counted once by each.

However many inputs share it, and however often SIGHUP asks for the settings: only a version that
this process had not opened yet counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edge.trial import look, start

if TYPE_CHECKING:
    from edge.settings import BundleSettings
    from edge.trial import Started


class Starts:
    """Of one process; used by the loop, and by the thread that opens what has become current.

    Args:
        only_look: change nothing on the disk, and count nothing.
    """

    def __init__(self, *, only_look: bool = False) -> None:
        self._only_look = only_look
        self._counted: dict[Path, set[str | None]] = {}

    def open(self, bundle: BundleSettings) -> Started:
        """Open what the settings name; versions on trial that fail are left for the one before.

        Raises:
            BundleError: no version can be used, or what comes of a trial can't be written.
            RuntimeUnavailableError: no TFLite runtime works here.
        """
        path = Path(bundle.path)
        if self._only_look:
            return look(path, runtime=bundle.runtime)
        counted = self._counted.setdefault(path.resolve(), set())
        return start(path, runtime=bundle.runtime, counted=counted)
