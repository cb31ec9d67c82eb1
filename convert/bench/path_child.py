"""The node's child process: it runs as `earpatch run` does, with a clock around each stage."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convert.bench.children import answer, memory_mb
from edge.backbone import Backbone
from edge.detector import Detector
from edge.errors import DeliveryError
from edge.events import EventFinder
from edge.evidence import Evidence
from edge.frontend import LogMel
from edge.nearest import Bank
from edge.node import run_node
from edge.resample import Resampler
from edge.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

STAGES: tuple[tuple[str, type, str], ...] = (
    ("resampling", Resampler, "push"),
    ("log-mel", LogMel, "pull"),
    ("backbone", Backbone, "embed"),
    ("nearest neighbour", Bank, "nearest"),
    ("evidence", Evidence, "push"),
    ("events", EventFinder, "push"),
)
REST = "capture, alarms, outbox, the loop"


class _Clocks:
    """Processor time of the calling thread, by stage; none of the stages calls another."""

    def __init__(self) -> None:
        self.stages_s: dict[str, float] = {}
        for stage, owner, method in STAGES:
            self._watch(stage, owner, method)

    def _watch(self, stage: str, owner: type, method: str) -> None:
        original: Callable[..., Any] = getattr(owner, method)
        self.stages_s[stage] = 0.0

        def clocked(*arguments: Any, **named: Any) -> Any:
            began = time.thread_time()
            try:
                return original(*arguments, **named)
            finally:
                self.stages_s[stage] += time.thread_time() - began

        setattr(owner, method, clocked)


class _First:
    """When sound began to be scored, and when the first window was."""

    def __init__(self, stop: threading.Event, *, only: bool) -> None:
        self.began_processor_s = self.first_at_s = self.heard_s = self.first_processor_s = 0.0
        original = Detector.push
        first = self

        def push(detector: Detector, samples: Any) -> Any:
            first.began_processor_s = first.began_processor_s or time.process_time()
            found = original(detector, samples)
            if not first.first_at_s:
                first.heard_s += len(samples)
                if len(found.distances):
                    first.first_at_s = time.monotonic()
                    first.first_processor_s = time.process_time()
                    if only:
                        stop.set()
            return found

        setattr(Detector, "push", push)  # noqa: B010


def _measure(job: dict[str, Any]) -> dict[str, Any]:
    settings = load_settings(Path(job["configuration"]))
    (each,) = settings.all_inputs()
    stop = threading.Event()
    clocks, first = _Clocks(), _First(stop, only=getattr(each.source, "realtime", False))
    with contextlib.suppress(DeliveryError):  # there is no broker: the events are on disk
        run_node(settings, stop=stop)
    spent_s = time.process_time() - first.began_processor_s
    stages_s = clocks.stages_s | {REST: spent_s - sum(clocks.stages_s.values())}
    return {
        "processor_s": spent_s,
        "stages_s": stages_s,
        "peak_mb": memory_mb(),
        "first_s": first.first_at_s - job["spawned_s"],
        "heard_s": first.heard_s / job["rate_hz"],
        "start_processor_s": first.first_processor_s,
    }


if __name__ == "__main__":
    answer(_measure)
